//! `DELETE /api/v1/documents/{id}`: deletes a document and its chunks.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, DocumentId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Delete a document and its chunks.
#[utoipa::path(
    delete,
    path = "/api/v1/documents/{id}",
    operation_id = "delete_document",
    tag = "documents",
    params(("id" = Uuid, Path)),
    responses((status = 200, description = "The document was deleted.", body = Deleted)),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<DocumentId>,
) -> Result<Reply, ApiError> {
    app.documents()?.delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
