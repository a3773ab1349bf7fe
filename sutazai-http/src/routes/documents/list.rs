//! `GET /api/v1/documents`: lists the caller's documents, newest first.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::document::{DocumentList, ListDocuments};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Query;

/// List the caller's documents.
#[utoipa::path(
    get,
    path = "/api/v1/documents",
    operation_id = "list_documents",
    tag = "documents",
    params(ListDocuments),
    responses((status = 200, description = "One page of documents, newest first.", body = DocumentList)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(list): Query<ListDocuments>,
) -> Result<Reply, ApiError> {
    let page = app.documents()?.list(&caller, list.query()?).await?;
    Ok(Reply::ok(&DocumentList::from(page)))
}
