//! Puts each request into a trace, and a line into the log when it is answered.

use std::fmt;
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use sutazai_core::domain::TraceContext;
use sutazai_core::trace;
use tracing::field::Empty;
use tracing::{Span, error_span};

use crate::app::App;
use crate::monitoring::counts;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What joins an answer, its log lines, its task, and the caller's own records.
#[derive(Debug, Clone)]
pub(crate) struct TraceId(pub(crate) String);

/// Continues the trace of `traceparent`, or begins one that `x-request-id` names, or one of our own; the answer carries
/// the request's own id back, or that of the trace.
pub(super) async fn follow<F>(app: &App, mut request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let headers = request.headers();
    let named = text(headers, &REQUEST_ID).and_then(TraceContext::of_request);
    let continued = text(headers, &TRACEPARENT).and_then(TraceContext::from_traceparent);
    let request_id = named.as_ref().map(TraceContext::id);
    let place = continued.or(named).unwrap_or_else(TraceContext::generate);
    let trace_id = place.id();
    request.extensions_mut().insert(TraceId(trace_id.clone()));
    // The template, never the path as sent: paths and queries may hold what does not belong in a log.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map(MatchedPath::as_str);
    let method = request.method().clone();
    let scheme = app.protection().trusted_proxies.scheme(&request);
    let span = span(&request, scheme, &trace_id, request_id.as_deref(), route);
    let tracer = app.engine().tracer();
    let begun = Instant::now();
    let mut response = trace::run(tracer, span.clone(), place, inner(request)).await;
    let (status, took) = (response.status(), begun.elapsed());
    counts::answered(&method, route, status, took);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "error");
    }
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status = status.as_u16(), milliseconds, "answered"));
    if let Ok(value) = HeaderValue::from_str(request_id.as_ref().unwrap_or(&trace_id)) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Fields without a dot are for log lines; those with one are for traces, by OpenTelemetry's conventions for HTTP. The
/// level lets the ids through whatever the log's filter is. A path that leads nowhere is left out: it may hold anything.
fn span(
    request: &Request,
    scheme: &str,
    trace_id: &str,
    request_id: Option<&str>,
    route: Option<&str>,
) -> Span {
    let method = request.method();
    error_span!(
        "request",
        trace_id,
        %method,
        route = route.unwrap_or("-"),
        user_id = Empty,
        otel.name = %Name(method, route),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        "http.request.header.x-request-id" = request_id,
        http.route = route,
        http.response.status_code = Empty,
        url.scheme = scheme,
        url.path = route.map(|_| request.uri().path()),
        error.type = Empty,
    )
}

/// What the span of a request is called.
struct Name<'r>(&'r Method, Option<&'r str>);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        self.1.map_or(Ok(()), |route| write!(f, " {route}"))
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
