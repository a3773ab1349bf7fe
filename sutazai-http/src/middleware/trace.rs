//! Gives each request a trace id, and a line in the log when it is answered.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a caller.
const MAX_LENGTH: usize = 64;

/// What joins an answer, its log lines, and the caller's own records.
#[derive(Debug, Clone)]
pub(crate) struct TraceId(pub(crate) String);

/// Takes the id from `x-request-id` or makes one; the answer carries it back.
pub(crate) async fn follow(mut request: Request, next: Next) -> Response {
    let trace_id = given(request.headers()).unwrap_or_else(|| Uuid::now_v7().simple().to_string());
    request.extensions_mut().insert(TraceId(trace_id.clone()));
    // The template, never the path as sent: paths and queries may hold what does not belong in a log.
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span = tracing::info_span!("request", %trace_id, %method, route, user_id = Empty);
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status = response.status().as_u16(), milliseconds, "answered"));
    if let Ok(value) = HeaderValue::from_str(&trace_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The caller's own id, if it is one that can stand in a log and a header without harm.
fn given(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let sane = (1..=MAX_LENGTH).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    sane.then(|| id.to_owned())
}
