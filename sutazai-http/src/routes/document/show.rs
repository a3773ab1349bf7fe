//! `GET /api/openapi.json`: what this server can be asked, for programs.

use axum::Extension;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

/// The document, written once.
#[derive(Debug, Clone)]
pub(crate) struct Document(pub(crate) Bytes);

/// Describe this API.
///
/// An OpenAPI document, without the envelope.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "show_document",
    tag = "document",
    responses((status = 200, description = "OpenAPI 3.1.", body = Object)),
)]
pub(crate) async fn handle(Extension(document): Extension<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], document.0)
}
