//! Swagger UI, as its crate carries it.

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

use super::file::EmbeddedFile;
use crate::app::App;
use crate::error::ApiError;

/// `/api/docs` and the files below it.
pub(crate) fn router() -> Router<App> {
    // Its files are named relative to a folder, and so is the way there: it may lie under a prefix.
    let folder = || async { (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "docs/")]) };
    Router::new()
        .route("/api/docs", get(folder))
        .route("/api/docs/", get(|headers: HeaderMap| embedded("index.html".to_owned(), headers)))
        .route(
            "/api/docs/{file}",
            get(|Path(file): Path<String>, headers: HeaderMap| embedded(file, headers)),
        )
}

/// The files that were asked for, by name: as many as the crate has.
static FILES: LazyLock<Mutex<HashMap<String, Arc<EmbeddedFile>>>> = LazyLock::new(Mutex::default);

async fn embedded(name: String, request: HeaderMap) -> Result<Response, ApiError> {
    let known = FILES.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    if let Some(known) = known {
        return Ok(known.answer(&request));
    }
    // Without a name of its own for the document nobody outside is asked to judge it.
    let config = Config::from("../openapi.json").validator_url("none").deep_linking(true);
    let file = serve(&name, Arc::new(config)).map_err(|e| Error::internal(format!("Swagger UI: {e}")))?;
    let file = file.ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))?;
    let compress = move || EmbeddedFile::new(&file.content_type, file.bytes.into_owned().into());
    let failed = |e| Error::internal("compressing a file failed").with_source(e);
    let made = Arc::new(tokio::task::spawn_blocking(compress).await.map_err(failed)?);
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(files.entry(name).or_insert(made).answer(&request))
}
