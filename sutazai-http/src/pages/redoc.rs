//! ReDoc, if its script was embedded at build time (`build.rs`).

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::get;
use sutazai_core::Error;

use super::API_DOCS;
use super::file::EmbeddedFile;
use crate::app::App;
use crate::error::ApiError;

const PAGE: &str = include_str!("redoc.html");

#[cfg(redoc)]
const SCRIPT: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/redoc.standalone.js")));
#[cfg(not(redoc))]
const SCRIPT: Option<&[u8]> = None;

/// Serves `/api/redoc` and its script; 404 with the reason when the program was built without ReDoc.
pub(crate) fn router() -> Router<App> {
    static PAGE_FILE: LazyLock<EmbeddedFile> =
        LazyLock::new(|| EmbeddedFile::new(API_DOCS, "text/html; charset=utf-8", PAGE.into()));
    static SCRIPT_FILE: LazyLock<EmbeddedFile> = LazyLock::new(|| {
        let script = Bytes::from_static(SCRIPT.unwrap_or_default());
        EmbeddedFile::new(API_DOCS, "text/javascript; charset=utf-8", script)
    });
    Router::new()
        .route("/api/redoc", get(|headers: HeaderMap| async move { embedded(&PAGE_FILE, &headers) }))
        .route(
            "/api/redoc/redoc.standalone.js",
            get(|headers: HeaderMap| async move { embedded(&SCRIPT_FILE, &headers) }),
        )
}

fn embedded(file: &LazyLock<EmbeddedFile>, request: &HeaderMap) -> Result<Response, ApiError> {
    match SCRIPT {
        Some(_) => Ok(file.answer(request)),
        None => Err(Error::not_found("ReDoc: this program was built without SUTAZAI_REDOC").into()),
    }
}
