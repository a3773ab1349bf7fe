//! `GET /v1/models`: lists the models in OpenAI's form.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::openai::model::ProtocolModelList;
use crate::envelope::Reply;
use crate::error::ApiError;

/// List the models (OpenAI-compatible).
#[utoipa::path(
    get,
    path = "/v1/models",
    operation_id = "openai_list_models",
    tag = "openai",
    responses((status = 200, description = "The available models.", body = ProtocolModelList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let models = app.model_for(&caller)?.models().await?;
    Ok(Reply::ok(&ProtocolModelList::new(models)))
}
