//! The web interface, if its built files were embedded at build time (`build.rs`). Its pages are behind `#`, so one
//! document serves them all, and an unknown path is 404.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::NestedPathRejection;
use axum::extract::{NestedPath, Path, Request};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sutazai_core::Error;

use super::file::{Delivery, EmbeddedFile};
use crate::app::App;
use crate::error::ApiError;

/// Content security policy: no inline script or style, no text that becomes markup or code (`trusted-types`), nothing
/// from other hosts, no form that is sent by the browser, no frame around the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";
/// Delivery of the page, which names all other files: asked for each time, and answered with 304 while it is the same.
const PAGE: Delivery = Delivery { policy: POLICY, caching: "no-cache" };
/// Delivery of all other files: their names contain a hash of their content, so they never change.
const HASHED: Delivery = Delivery { policy: POLICY, caching: "public, max-age=31536000, immutable" };
const INDEX: &str = "index.html";

#[cfg(ui)]
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));
#[cfg(not(ui))]
const FILES: &[(&str, &[u8])] = &[];

/// True if the pages are embedded.
const IS_EMBEDDED: bool = cfg!(ui);

/// Content of a file, and the file itself once it was requested.
type Content = (&'static [u8], OnceLock<EmbeddedFile>);

/// Content of each file by its name, compressed when it is first requested.
static EMBEDDED: LazyLock<HashMap<&str, Content>> =
    LazyLock::new(|| FILES.iter().map(|(name, bytes)| (*name, (*bytes, OnceLock::new()))).collect());

/// Serves `/ui/` and the files below it; 404 with the reason when the program was built without them.
pub(crate) fn router() -> Router<App> {
    // The page refers to its files relative to a folder. The redirect is relative too, because the router may have a
    // prefix.
    let folder = || async { (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "ui/")]) };
    Router::new()
        .route("/ui", get(folder))
        .route("/ui/", get(|headers: HeaderMap| async move { embedded(INDEX, &headers) }))
        .route(
            "/ui/{*file}",
            get(|Path(file): Path<String>, headers: HeaderMap| async move { embedded(&file, &headers) }),
        )
}

/// Responds to a path that no route has: `/` redirects to the pages. It is no route, so that an embedder may have one of
/// its own there; nested under a prefix, `/` is the embedder's path.
pub(crate) async fn fallback(nested: Result<NestedPath, NestedPathRejection>, request: Request) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if IS_EMBEDDED && reads && nested.is_err() && request.uri().path() == "/" {
        return (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "ui/")]).into_response();
    }
    ApiError::of_status(StatusCode::NOT_FOUND).into_response()
}

fn embedded(name: &str, request: &HeaderMap) -> Result<Response, ApiError> {
    if !IS_EMBEDDED {
        let why = "the web interface: this program was built without SUTAZAI_UI";
        return Err(Error::not_found(why).into());
    }
    let (bytes, file) = EMBEDDED.get(name).ok_or_else(|| ApiError::of_status(StatusCode::NOT_FOUND))?;
    let delivery = if name == INDEX { PAGE } else { HASHED };
    let file =
        file.get_or_init(|| EmbeddedFile::new(delivery, content_type(name), Bytes::from_static(bytes)));
    Ok(file.answer(request))
}

/// Returns the content type that the ending of a name stands for.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
