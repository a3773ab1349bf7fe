//! `GET /api/v1/models`: lists the models of all backends.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::model::ModelList;
use crate::envelope::Reply;
use crate::error::ApiError;

/// List the models.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    operation_id = "list_models",
    tag = "models",
    responses(
        (status = 200, description = "The available models.", body = ModelList),
        (status = 503, description = "No model backend is configured, or none can be reached."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    Ok(Reply::ok(&ModelList::from(app.model_for(&caller)?.models().await?)))
}
