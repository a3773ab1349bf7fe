//! `/v1/models`: models in OpenAI's form. A name may contain slashes, which clients send literally or percent-encoded.

use axum::Extension;
use axum::extract::{Path, State};
use sutazai_core::domain::Caller;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::dto::openai::model::{ProtocolModel, ProtocolModelList};
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
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let models = app.model_for(&caller)?.models().await?;
    Ok(Reply::ok(&ProtocolModelList::new(models)))
}

/// Show a model (OpenAI-compatible).
#[utoipa::path(
    get,
    path = "/v1/models/{*id}",
    operation_id = "openai_show_model",
    tag = "openai",
    params(("id" = String, Path, description = "Name of the model.")),
    responses((status = 200, description = "The model.", body = ProtocolModel)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Reply, ApiError> {
    let models = app.model_for(&caller)?.models().await?;
    let found = models.into_iter().find(|model| model.is_called(&name));
    let missing =
        || Error::new(ErrorKind::NotFound, "this server does not have this model").with_field("model");
    Ok(Reply::ok(&ProtocolModel::from(found.ok_or_else(missing)?)))
}
