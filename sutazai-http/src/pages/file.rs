//! An embedded file as an answer.

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

/// What the pages may do: run and load what this server gives them, and ask this server. Both libraries style what they
/// draw in place; Swagger UI has its icons in its style sheet, ReDoc searches in a worker that it makes itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// A file of this program, compressed once in the life of the process: anybody may ask for it, and as often as they like.
#[derive(Debug, Clone)]
pub(super) struct EmbeddedFile {
    content_type: String,
    bytes: Bytes,
    gzip: Bytes,
    /// Its opaque tag, in quotes.
    tag: String,
}

impl EmbeddedFile {
    pub(super) fn new(content_type: &str, bytes: Bytes) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Into memory: it cannot fail.
        let gzip = encoder.write_all(&bytes).and_then(|()| encoder.finish()).unwrap_or_default();
        let tag = etag::tag(&bytes);
        Self { content_type: content_type.to_owned(), bytes, gzip: gzip.into(), tag }
    }

    /// The file, with the policy under which browsers show it, or 304 where the caller has it already.
    pub(super) fn answer(&self, request: &HeaderMap) -> Response {
        let headers = [
            (CONTENT_SECURITY_POLICY, POLICY),
            // They change with the program.
            (CACHE_CONTROL, "public, max-age=3600"),
            (VARY, "accept-encoding"),
            // Weak: it names the file, in whatever encoding.
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

/// Whether the caller reads gzip (RFC 9110, 12.5.3); a weight of 0 says no.
fn accepts_gzip(request: &HeaderMap) -> bool {
    let lists = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|one| {
        let (coding, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused =
            weight.trim().strip_prefix("q=").is_some_and(|q| q.parse().is_ok_and(|q: f32| q <= 0.0));
        coding.trim().eq_ignore_ascii_case("gzip") && !refused
    })
}
