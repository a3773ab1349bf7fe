//! `GET /v1/models/{id}`: one model. A name may have slashes, which clients send as they are or encoded.

use axum::Extension;
use axum::extract::{Path, State};
use sutazai_core::domain::Caller;
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::dto::openai::model::ProtocolModel;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Show a model, for OpenAI's clients.
#[utoipa::path(
    get,
    path = "/v1/models/{*id}",
    operation_id = "openai_show_model",
    tag = "openai",
    params(("id" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The model.", body = ProtocolModel)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Reply, ApiError> {
    let models = app.model_for(&caller)?.models().await?;
    let found = models.into_iter().find(|model| model.is_called(&name));
    let missing = || Error::new(ErrorKind::NotFound, "this server has no such model").with_field("model");
    Ok(Reply::ok(&ProtocolModel::from(found.ok_or_else(missing)?)))
}
