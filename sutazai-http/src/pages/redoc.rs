//! ReDoc, where the build was told where its file lies (`build.rs`).

use axum::Router;
use axum::response::Response;
use axum::routing::get;
use sutazai_core::Error;

use super::file;
use crate::app::App;
use crate::error::ApiError;

const PAGE: &str = include_str!("redoc.html");

#[cfg(redoc)]
const SCRIPT: Option<&[u8]> = Some(include_bytes!(concat!(env!("OUT_DIR"), "/redoc.standalone.js")));
#[cfg(not(redoc))]
const SCRIPT: Option<&[u8]> = None;

/// `/api/redoc` and its script; 404 with the reason where this program was built without it.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/api/redoc", get(|| async { embedded("text/html; charset=utf-8", |_| PAGE.as_bytes()) }))
        .route(
            "/api/redoc/redoc.standalone.js",
            get(|| async { embedded("text/javascript; charset=utf-8", |script| script) }),
        )
}

fn embedded(content_type: &str, part: impl Fn(&'static [u8]) -> &'static [u8]) -> Result<Response, ApiError> {
    match SCRIPT {
        Some(script) => Ok(file::answer(content_type, part(script).into())),
        None => Err(Error::not_found("ReDoc: this program was built without SUTAZAI_REDOC").into()),
    }
}
