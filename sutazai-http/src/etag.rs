//! Conditional requests: `ETag` and `If-None-Match` (RFC 9110, 8.8 and 13.1.2).

use axum::http::header::{ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::envelope::Reply;

/// Responds with the data and its `ETag`, or with a bare 304 when the request's `If-None-Match` contains that tag.
///
/// The tag is a hash of the data, so it changes whenever anything visible to the caller changes. It is weak, because
/// the envelope around the data differs in every response (time, trace id).
pub(crate) fn unless_known(reply: Reply, request: &HeaderMap) -> Response {
    let Some(data) = reply.data() else { return reply.into_response() };
    let tag = tag(data);
    let header: Option<(HeaderName, HeaderValue)> =
        HeaderValue::try_from(format!("W/{tag}")).ok().map(|value| (ETAG, value));
    let header = HeaderMap::from_iter(header);
    if is_known(&tag, request) {
        (StatusCode::NOT_MODIFIED, header).into_response()
    } else {
        (header, reply).into_response()
    }
}

/// Computes the opaque tag of the data: the first 16 bytes of its SHA-256 in hexadecimal, quoted.
pub(crate) fn tag(data: &[u8]) -> String {
    format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(data)[..16]))
}

/// Returns whether `If-None-Match` contains the tag; compares weakly, as RFC 9110, 13.1.2 requires.
pub(crate) fn is_known(tag: &str, request: &HeaderMap) -> bool {
    let lists = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = lists.flat_map(|list| list.split(',')).map(str::trim);
    known.any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
}
