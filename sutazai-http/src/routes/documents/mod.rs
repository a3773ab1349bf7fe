//! `/api/v1/documents`: documents of users.

pub(crate) mod upload;

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, DocumentId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::dto::document::{
    ChunkList, DocumentList, DocumentView, ListChunks, PassageList, RenameDocument, SearchDocuments,
};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Json, PageQuery, Query};

/// List the caller's documents.
#[utoipa::path(
    get,
    path = "/api/v1/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(PageQuery::<DocumentId>),
    responses((status = 200, description = "One page of documents, newest first.", body = DocumentList)),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PageQuery(page): PageQuery<DocumentId>,
) -> Result<Reply, ApiError> {
    let page = app.require_documents()?.list(&caller, None, page).await?;
    Ok(Reply::ok(&DocumentList::from(page)))
}

/// Search the caller's documents.
///
/// Matches words, not meaning, and ignores case. A chunk is found if it contains at least one of the words; chunks
/// with more or rarer words come first. Searches the caller's own documents only, also for admins.
#[utoipa::path(
    get,
    path = "/api/v1/documents/search",
    operation_id = "search_documents",
    tag = "documents",
    params(SearchDocuments),
    responses((status = 200, description = "The passages, best first.", body = PassageList)),
)]
pub(crate) async fn search(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(search): Query<SearchDocuments>,
) -> Result<Reply, ApiError> {
    let found = app.require_documents()?.search(&caller, &search.q, search.limit).await?;
    Ok(Reply::ok(&PassageList::new(found, &search.q)))
}

/// Show a document.
#[utoipa::path(
    get,
    path = "/api/v1/documents/{id}",
    operation_id = "read_document",
    tag = "documents",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The document, without its chunks.", body = DocumentView)),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
) -> Result<Reply, ApiError> {
    let document = app.require_documents()?.document(&caller, id).await?;
    Ok(Reply::ok(&DocumentView::from(document)))
}

/// Rename a document.
#[utoipa::path(
    put,
    path = "/api/v1/documents/{id}/title",
    operation_id = "rename_document",
    tag = "documents",
    params(("id" = Uuid, Path)),
    request_body = RenameDocument,
    responses((status = 200, description = "The document with its new title.", body = DocumentView)),
)]
pub(crate) async fn rename(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
    Json(body): Json<RenameDocument>,
) -> Result<Reply, ApiError> {
    let document = app.require_documents()?.rename(&caller, id, body.title).await?;
    Ok(Reply::ok(&DocumentView::from(document)))
}

/// List the chunks of a document.
#[utoipa::path(
    get,
    path = "/api/v1/documents/{id}/chunks",
    operation_id = "list_chunks",
    tag = "documents",
    params(("id" = Uuid, Path), ListChunks),
    responses((status = 200, description = "Consecutive chunks, in their order.", body = ChunkList)),
)]
pub(crate) async fn chunks(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
    Query(list): Query<ListChunks>,
) -> Result<Reply, ApiError> {
    let documents = app.require_documents()?;
    let document = documents.document(&caller, id).await?;
    let chunks = documents.chunks(&caller, id, list.from, list.limit).await?;
    Ok(Reply::ok(&ChunkList::new(chunks, document.chunks)))
}

/// Delete a document and its chunks.
#[utoipa::path(
    delete,
    path = "/api/v1/documents/{id}",
    operation_id = "delete_document",
    tag = "documents",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The document was deleted.", body = Deleted)),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
) -> Result<Reply, ApiError> {
    app.require_documents()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
