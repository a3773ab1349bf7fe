//! Swagger UI, as its crate carries it.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::Response;
use axum::routing::get;
use sutazai_core::Error;
use utoipa_swagger_ui::{Config, serve};

use super::file;
use crate::app::App;
use crate::error::ApiError;

/// `/api/docs` and the files below it.
pub(crate) fn router() -> Router<App> {
    // Its files are named relative to a folder, and so is the way there: it may lie under a prefix.
    let folder = || async { (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "docs/")]) };
    Router::new()
        .route("/api/docs", get(folder))
        .route("/api/docs/", get(|| embedded("index.html".to_owned())))
        .route("/api/docs/{file}", get(|Path(file): Path<String>| embedded(file)))
}

async fn embedded(name: String) -> Result<Response, ApiError> {
    // Without a name of its own for the document nobody outside is asked to judge it.
    let config = Config::from("../openapi.json").validator_url("none").deep_linking(true);
    let file = serve(&name, Arc::new(config)).map_err(|e| Error::internal(format!("Swagger UI: {e}")))?;
    match file {
        Some(file) => Ok(file::answer(&file.content_type, file.bytes.into_owned().into())),
        None => Err(ApiError::of_status(StatusCode::NOT_FOUND)),
    }
}
