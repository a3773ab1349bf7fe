//! `GET /api/openapi.json`: returns the OpenAPI description of this API.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use crate::app::App;

/// Describe this API.
///
/// Returns an OpenAPI document without the envelope.
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    operation_id = "show_document",
    tag = "document",
    responses((status = 200, description = "OpenAPI 3.1 document.", body = Object)),
)]
pub(crate) async fn show(State(app): State<App>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], app.document())
}
