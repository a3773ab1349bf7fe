//! Origins of web pages (RFC 6454), as browsers send them in `Origin`.

use axum::http::HeaderValue;
use axum::http::uri::Authority;

/// Returns whether the origin is the addressed host itself. The scheme is ignored, because a proxy may terminate TLS in
/// front of the server.
pub(crate) fn is_of(origin: &HeaderValue, addressed: &Authority) -> bool {
    parts(origin).is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(addressed.as_str()))
}

/// Like [`is_of`], and over TLS the page must have been loaded over TLS too: anybody on the way can write a page that
/// was not.
pub(crate) fn is_of_scheme(origin: &HeaderValue, addressed: &Authority, scheme: &str) -> bool {
    is_of(origin, addressed) && parts(origin).is_some_and(|(of, _)| scheme != "https" || of == scheme)
}

fn parts(origin: &HeaderValue) -> Option<(&str, &str)> {
    origin.to_str().ok()?.split_once("://")
}
