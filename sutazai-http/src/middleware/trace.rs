//! Puts each request into a trace, and a line into the log when it is answered. Probes have neither: they come every few
//! seconds, and what they find is in the answer and in the figures. One that fails has its line.

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

/// What joins an answer, its log lines, its task, and the caller's own records.
#[derive(Debug, Clone)]
pub(crate) struct TraceId(pub(crate) String);

/// Continues the trace of the request, or begins one.
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
    span.in_scope(|| tracing::info!(status = status.as_u16(), milliseconds, "answered"));
    response
}

/// The same for a probe, which has its ids and is counted, and leaves no trace.
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
        tracing::warn!(trace_id, %method, route, status = status.as_u16(), milliseconds, "answered");
    }
    response
}

/// What is known of a request before anybody answers it.
struct Asked {
    trace_id: String,
    /// The name that the caller gave it.
    request_id: Option<String>,
    method: Method,
    /// The template, never the path as sent: paths and queries may hold what does not belong in a log.
    route: Option<MatchedPath>,
    begun: Instant,
}

impl Asked {
    /// The request, which gets its [`TraceId`], and its place in the trace: that of `traceparent`, or in a new one that
    /// `x-request-id` names, or in one of our own.
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

    /// Counts the answer, which carries the request's own id back, or that of the trace; gives the milliseconds it took.
    fn answered(&self, app: &App, response: &mut Response) -> u64 {
        let took = self.begun.elapsed();
        app.answers().note(&self.method, self.route(), response.status(), took);
        if let Ok(value) = HeaderValue::from_str(self.request_id.as_ref().unwrap_or(&self.trace_id)) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
    }
}

/// Fields without a dot are for log lines; those with one are for traces, by OpenTelemetry's conventions for HTTP. The
/// level lets the ids through whatever the log's filter is. A path that leads nowhere is left out: it may hold anything.
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

/// Tells the operator that a proxy is not among `TRUSTED_PROXIES`: all who come through it then count as one caller.
fn warn_of_untrusted_proxy(app: &App, request: &Request) {
    let proxies = &app.protection().trusted_proxies;
    if let Some(peer) = proxies.untrusted_proxy(request)
        && app.proxy_warnings().is_due(app.engine().clock().now())
    {
        tracing::warn!(%peer, "forwarded address ignored: the peer is not among TRUSTED_PROXIES");
    }
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
