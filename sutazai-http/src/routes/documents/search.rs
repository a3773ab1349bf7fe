//! `GET /api/v1/documents/search`: finds passages in the caller's documents by their words.

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
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(search): Query<SearchDocuments>,
) -> Result<Reply, ApiError> {
    let found = app.documents()?.search(&caller, &search.q, search.limit).await?;
    Ok(Reply::ok(&PassageList::from(found)))
}
