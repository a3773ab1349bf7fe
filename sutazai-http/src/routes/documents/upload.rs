//! `POST /api/v1/documents`: keeps a file as a document.

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
/// Its text is read and split into chunks, which a search finds by their words. The file itself is not kept. The same
/// `Idempotency-Key` with the same file and title gives the same document.
#[utoipa::path(
    post,
    path = "/api/v1/documents",
    operation_id = "upload_document",
    tag = "documents",
    params(
        ("Idempotency-Key" = Option<String>, Header, nullable = false, max_length = 200, description = "The same key with the same file and title from the same user gives the same document."),
    ),
    request_body(content = inline(UploadDocument), content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is there, with its chunks.", body = DocumentView),
        (status = 409, description = "The idempotency key names a document of another content or title, or the user has no space left."),
        (status = 415, description = "The body is no `multipart/form-data`."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Reply, ApiError> {
    let documents = app.documents()?;
    // Before the body is read: requests wait without their files in memory.
    let _turn = app.uploads().acquire(caller.owner()).await?;
    let key = idempotency_key(request.headers())?;
    let FileForm(new) = FileForm::from_request(request, &app).await?;
    let document = documents.upload_once(&caller, new, key).await?;
    Ok(Reply::created(&DocumentView::from(document)))
}
