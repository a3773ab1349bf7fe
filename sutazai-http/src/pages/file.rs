//! Embedded files as HTTP responses.

use std::io::Write;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, VARY,
};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::etag;

/// Headers of a file for browsers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery {
    /// Content security policy of the file.
    pub(super) policy: &'static str,
    /// Value of the header `Cache-Control`.
    pub(super) caching: &'static str,
}

/// Embedded file with its gzip form. It is compressed once per process, because anyone may request it at any rate.
#[derive(Debug, Clone)]
pub(super) struct EmbeddedFile {
    delivery: Delivery,
    content_type: String,
    bytes: Bytes,
    gzip: Bytes,
    /// Opaque tag of the file, quoted.
    tag: String,
}

impl EmbeddedFile {
    pub(super) fn new(delivery: Delivery, content_type: &str, bytes: Bytes) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Cannot fail: it writes into memory.
        let gzip = encoder.write_all(&bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        let tag = etag::tag(&bytes);
        Self { delivery, content_type: content_type.to_owned(), bytes, gzip: gzip.into(), tag }
    }

    /// Responds with the file and its policy, or with 304 when the client has the file already.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (CONTENT_SECURITY_POLICY, self.delivery.policy),
            (CACHE_CONTROL, self.delivery.caching),
            (VARY, "accept-encoding"),
            // Weak, because one tag stands for the file in every encoding.
            (ETAG, &format!("W/{}", self.tag)),
        ];
        if etag::is_known(&self.tag, request) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        let content_type = [(CONTENT_TYPE, self.content_type.as_str())];
        if accepts_gzip(request) {
            (headers, content_type, [(CONTENT_ENCODING, "gzip")], self.gzip.clone()).into_response()
        } else {
            (headers, content_type, self.bytes.clone()).into_response()
        }
    }
}

/// Returns whether the client accepts gzip (RFC 9110, 12.5.3); a weight of 0 means no.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let lists = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused =
            weight.trim().strip_prefix("q=").is_some_and(|q| q.parse().is_ok_and(|q: f32| q <= 0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
