//! Swagger UI, from the files that its crate embeds.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::Router;
use axum::extract::Path;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::get;
use sutazai_core::Error;
use utoipa_swagger_ui::{Config, serve};

use super::API_DOCS;
use super::file::EmbeddedFile;
use crate::app::App;
use crate::error::ApiError;

/// Serves `/api/docs` and the files below it.
pub(crate) fn router() -> Router<App> {
    // The page refers to its files relative to a folder. The redirect is relative too, because the router may have a
    // prefix.
    let folder = || async { (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "docs/")]) };
    Router::new()
        .route("/api/docs", get(folder))
        .route("/api/docs/", get(|headers: HeaderMap| embedded("index.html".to_owned(), headers)))
        .route(
            "/api/docs/{file}",
            get(|Path(file): Path<String>, headers: HeaderMap| embedded(file, headers)),
        )
}

/// Files that were requested so far, by name. Bounded by the number of files in the crate.
static FILES: LazyLock<Mutex<HashMap<String, Arc<EmbeddedFile>>>> = LazyLock::new(Mutex::default);

async fn embedded(name: String, request: HeaderMap) -> Result<Response, ApiError> {
    let known = FILES.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    if let Some(known) = known {
        return Ok(known.answer(&request));
    }
    // Without `validator_url("none")`, Swagger UI would send the description to a public validator.
    let config = Config::from("../openapi.json").validator_url("none").deep_linking(true);
    let file = serve(&name, Arc::new(config)).map_err(|e| Error::internal(format!("Swagger UI: {e}")))?;
    let file = file.ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))?;
    let compress = move || EmbeddedFile::new(API_DOCS, &file.content_type, file.bytes.into_owned().into());
    let failed = |e| Error::internal("compressing a file failed").with_source(e);
    let made = Arc::new(tokio::task::spawn_blocking(compress).await.map_err(failed)?);
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(files.entry(name).or_insert(made).answer(&request))
}
