//! `POST /v1/embeddings`: computes embedding vectors of texts.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::openai::embedding::{CreateEmbeddings, EmbeddingList};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::ProtocolJson;
use crate::openai_api::named;

/// Create embeddings (OpenAI-compatible).
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    operation_id = "openai_create_embeddings",
    tag = "openai",
    request_body = CreateEmbeddings,
    responses((status = 200, description = "One embedding for each text.", body = EmbeddingList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    ProtocolJson(body): ProtocolJson<CreateEmbeddings>,
) -> Result<Reply, ApiError> {
    let (name, texts, encoding) = body.texts()?;
    let made = app.model_for(&caller)?.embed(Some(name), &texts).await.map_err(named)?;
    Ok(Reply::ok(&EmbeddingList::new(made, encoding)))
}
