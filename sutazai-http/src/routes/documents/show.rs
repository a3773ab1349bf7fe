//! `GET /api/v1/documents/{id}`: returns a document without its chunks.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, DocumentId};

use crate::app::App;
use crate::dto::document::DocumentView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Show a document.
#[utoipa::path(
    get,
    path = "/api/v1/documents/{id}",
    operation_id = "read_document",
    tag = "documents",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The document, without its chunks.", body = DocumentView)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
) -> Result<Reply, ApiError> {
    let document = app.documents()?.document(&caller, id).await?;
    Ok(Reply::ok(&DocumentView::from(document)))
}
