//! `POST /api/v1/documents`: keeps a file as a document.

use axum::Extension;
use axum::extract::{FromRequest, Request, State};
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::document::{DocumentView, UploadDocument};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::FileForm;

/// Upload a document.
///
/// Its text is read and split into chunks, which a search finds by their words. The file itself is not kept.
#[utoipa::path(
    post,
    path = "/api/v1/documents",
    operation_id = "upload_document",
    tag = "documents",
    request_body(content = inline(UploadDocument), content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "It is there, with its chunks.", body = DocumentView),
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
    let FileForm(new) = FileForm::from_request(request, &app).await?;
    let document = documents.upload(&caller, new).await?;
    Ok(Reply::created(&DocumentView::from(document)))
}
