//! `GET /api/v1/documents/search`: what the caller's documents say about some words.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::document::{PassageList, SearchDocuments};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Query;

/// Search the caller's documents.
///
/// By words alone: a chunk is found that has at least one of them, in any case; what has more of them, or rarer ones, comes
/// first. Only what is the caller's own is looked at, for admins too.
#[utoipa::path(
    get,
    path = "/api/v1/documents/search",
    operation_id = "search_documents",
    tag = "documents",
    params(SearchDocuments),
    responses((status = 200, description = "The best passages.", body = PassageList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(search): Query<SearchDocuments>,
) -> Result<Reply, ApiError> {
    let found = app.documents()?.search(&caller, &search.q, search.limit).await?;
    Ok(Reply::ok(&PassageList::from(found)))
}
