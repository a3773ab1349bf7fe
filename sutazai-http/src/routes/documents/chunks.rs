//! `GET /api/v1/documents/{id}/chunks`: returns the text of a document in chunks.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, DocumentId};

use crate::app::App;
use crate::dto::document::{ChunkList, ListChunks};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Query};

/// List the chunks of a document.
#[utoipa::path(
    get,
    path = "/api/v1/documents/{id}/chunks",
    operation_id = "list_chunks",
    tag = "documents",
    params(("id" = Uuid, Path), ListChunks),
    responses((status = 200, description = "Consecutive chunks, in their order.", body = ChunkList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
    Query(list): Query<ListChunks>,
) -> Result<Reply, ApiError> {
    let documents = app.documents()?;
    let document = documents.document(&caller, id).await?;
    let chunks = documents.chunks(&caller, id, list.from, list.limit).await?;
    Ok(Reply::ok(&ChunkList::new(chunks, document.chunks)))
}
