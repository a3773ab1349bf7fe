//! `POST /api/v1/documents`: stores the text of a file as a document.

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::document::{DocumentView, UploadDocument};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{FileForm, idempotency_key};

/// Upload a document.
///
/// Extracts the text of the file and splits it into chunks, which a search finds by their words. The file itself is
/// not stored. Repeating the request with the same `Idempotency-Key`, file and title returns the same document.
#[utoipa::path(
    post,
    path = "/api/v1/documents",
    operation_id = "upload_document",
    tag = "documents",
    params(
        ("Idempotency-Key" = Option<String>, Header, nullable = false, max_length = 200, description = "A repeated request of the same user with the same key, file and title returns the same document."),
    ),
    request_body(content = inline(UploadDocument), content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "The document was stored.", body = DocumentView),
        (status = 409, description = "The idempotency key belongs to a document with another content or title, or the user has no space left."),
        (status = 415, description = "The body is not `multipart/form-data`."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Reply, ApiError> {
    let documents = app.require_documents()?;
    // Acquired before the body is read, so that waiting uploads do not hold their files in memory.
    let _permit = app.uploads().acquire(caller.owner()).await?;
    let key = idempotency_key(request.headers())?;
    let FileForm(new) = FileForm::from_request(request, &app).await?;
    let document = documents.upload_once(&caller, new, key).await?;
    Ok(Reply::created(&DocumentView::from(document)))
}
