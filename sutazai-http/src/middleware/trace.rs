//! Runs each request in a trace, and logs it when it is answered. Probes are exempt: they come every few seconds, and
//! metrics and responses show their result. A probe that fails is logged.

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

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Trace id of a request; joins the response, its log lines, its task, and the caller's own records.
#[derive(Debug, Clone)]
pub(crate) struct TraceId(pub(crate) String);

/// Runs a request within the trace that it continues, or within a new one.
pub(super) async fn follow<F>(app: &App, mut request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let (asked, place) = Asked::of(&mut request);
    let span = span(app, &request, &asked);
    warn_of_untrusted_proxy(app, &request);
    let tracer = app.engine().tracer();
    let mut response = trace::run(tracer, span.clone(), place, inner(request)).await;
    let milliseconds = asked.answered(app, &mut response);
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("error.type", status.as_str());
        span.record("otel.status_code", "error");
    }
    span.in_scope(|| tracing::info!(status = status.as_u16(), milliseconds, "request completed"));
    response
}

/// Like [`follow`], for a probe: sets its ids and counts it, but creates no span and no log line unless it fails.
pub(super) async fn pass<F>(app: &App, mut request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let (asked, _) = Asked::of(&mut request);
    let mut response = inner(request).await;
    let milliseconds = asked.answered(app, &mut response);
    let status = response.status();
    if status.is_server_error() {
        let (trace_id, method, route) = (&asked.trace_id, &asked.method, asked.route());
        tracing::warn!(trace_id, %method, route, status = status.as_u16(), milliseconds, "request completed");
    }
    response
}

/// Properties of a request that are known before it is handled.
struct Asked {
    trace_id: String,
    /// Request id that the caller sent.
    request_id: Option<String>,
    method: Method,
    /// Template of the route, never the path as sent: paths and queries may contain data that does not belong in a
    /// log.
    route: Option<MatchedPath>,
    begun: Instant,
}

impl Asked {
    /// Reads the request and inserts its [`TraceId`]. The trace is the one of `traceparent`, or else a new one with
    /// the id in `x-request-id`, or else a new one with a random id.
    fn of(request: &mut Request) -> (Self, TraceContext) {
        let begun = Instant::now();
        let headers = request.headers();
        let named = text(headers, &REQUEST_ID).and_then(TraceContext::of_request);
        let continued = text(headers, &TRACEPARENT).and_then(TraceContext::from_traceparent);
        let request_id = named.as_ref().map(TraceContext::id);
        let place = continued.or(named).unwrap_or_else(TraceContext::generate);
        let trace_id = place.id();
        request.extensions_mut().insert(TraceId(trace_id.clone()));
        let route = request.extensions().get::<MatchedPath>().cloned();
        (Self { trace_id, request_id, method: request.method().clone(), route, begun }, place)
    }

    fn route(&self) -> Option<&str> {
        self.route.as_ref().map(MatchedPath::as_str)
    }

    /// Counts the response, sets its `x-request-id` (the request's own, or the trace id), and returns its duration in
    /// milliseconds.
    fn answered(&self, app: &App, response: &mut Response) -> u64 {
        let took = self.begun.elapsed();
        app.answers().note(&self.method, self.route(), response.status(), took);
        if let Ok(value) = HeaderValue::from_str(self.request_id.as_ref().unwrap_or(&self.trace_id)) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Creates the span of a request. Fields without a dot are for log lines; fields with one are for traces and follow
/// OpenTelemetry's semantic conventions for HTTP. The level `ERROR` keeps the span, and so the ids, under every log
/// filter. The path of an unknown route is omitted, because it may contain anything.
fn span(app: &App, request: &Request, asked: &Asked) -> Span {
    let (method, route) = (&asked.method, asked.route());
    let proxies = &app.protection().trusted_proxies;
    let (scheme, client) = (proxies.scheme(request), proxies.address(request));
    error_span!(
        "request",
        trace_id = asked.trace_id,
        %method,
        route = route.unwrap_or("-"),
        user_id = Empty,
        client = client.map(display),
        client.address = client.map(display),
        otel.name = %Name(method, route),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = %method,
        "http.request.header.x-request-id" = asked.request_id.as_deref(),
        http.route = route,
        http.response.status_code = Empty,
        url.scheme = scheme,
        url.path = route.map(|_| request.uri().path()),
        error.type = Empty,
    )
}

/// Warns the operator of a proxy that is not in `TRUSTED_PROXIES`: all its clients then count as one caller.
fn warn_of_untrusted_proxy(app: &App, request: &Request) {
    let proxies = &app.protection().trusted_proxies;
    if let Some(peer) = proxies.untrusted_proxy(request)
        && app.proxy_warnings().is_due(app.engine().clock().now())
    {
        tracing::warn!(%peer, "forwarded address ignored: the peer is not among TRUSTED_PROXIES");
    }
}

/// Name of the span of a request: method and route.
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
