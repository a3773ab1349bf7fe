//! `GET /v1/models`: what can be asked.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::openai::model::ProtocolModelList;
use crate::envelope::Reply;
use crate::error::ApiError;

/// List the models, for OpenAI's clients.
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "openai_list_models",
    tag = "openai",
    responses((status = 200, description = "The models that are there.", body = ProtocolModelList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let models = app.model_for(&caller)?.models().await?;
    Ok(Reply::ok(&ProtocolModelList::new(models)))
}
