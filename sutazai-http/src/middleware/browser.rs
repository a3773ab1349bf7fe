//! Headers for browsers: which pages may call the API (CORS), and what a page may do with a response. Responses that
//! are pages set their own policy, which is kept.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, LOCATION,
    REFERRER_POLICY, RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::app::App;
use crate::auth::session_cookie::X_SESSION;
use crate::security::CorsOrigins;

/// Time for which browsers may cache the result of a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(3_600);
/// Content security policy of API responses: they are data, so nothing in them may be executed, loaded or framed.
const DATA_ONLY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Tells nginx not to buffer a stream.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// `Strict-Transport-Security` for two years, as the preload lists of browsers recommend. Without
/// `includeSubDomains`, because other hosts of the domain are not ours to decide about.
const TWO_YEARS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Creates the CORS layer for these origins; `None` without origins, so that browsers allow no other origin.
/// Credentials mode is not enabled, so a page can act only with a token it has itself: its browser sends no cookie and
/// keeps none. Nor may it ask for one: [`secure`] removes `X-Session` from the headers that the layer mirrors.
pub(crate) fn cross_origin(origins: &CorsOrigins) -> Option<CorsLayer> {
    if origins.0.is_empty() {
        return None;
    }
    let name = HeaderName::from_static;
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // Any header: clients and tracing libraries send their own (`x-stainless-os`, `traceparent`). They are
        // ignored here, so a list would only break clients.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            ETAG,
            LOCATION,
            RETRY_AFTER,
            name("ratelimit"),
            name("ratelimit-policy"),
            name("x-request-id"),
        ])
        .max_age(PREFLIGHT_MAX_AGE);
    Some(layer.allow_origin(match origins.all() {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.0.clone()),
    }))
}

/// Adds the security headers that a response does not have yet, and disables proxy buffering of streams.
pub(super) async fn secure<F>(app: &App, mut request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    ask_without_session(request.headers_mut());
    let over_tls = app.protection().trusted_proxies.scheme(&request) == "https";
    let mut response = inner(request).await;
    let headers = response.headers_mut();
    let word = HeaderValue::from_static;
    headers.insert(X_CONTENT_TYPE_OPTIONS, word("nosniff"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(DATA_ONLY);
    headers.entry(X_FRAME_OPTIONS).or_insert(word("DENY"));
    headers.entry(REFERRER_POLICY).or_insert(word("no-referrer"));
    if headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        headers.insert(X_ACCEL_BUFFERING, word("no"));
    }
    if over_tls {
        headers.entry(STRICT_TRANSPORT_SECURITY).or_insert(TWO_YEARS);
    }
    response
}

/// Removes `X-Session` from the headers that a preflight request asks for, so that no page of another origin may send
/// it.
fn ask_without_session(headers: &mut HeaderMap) {
    let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let names: Vec<&str> = asked.split(',').map(str::trim).collect();
    let left: Vec<&str> =
        names.iter().copied().filter(|name| !name.eq_ignore_ascii_case(X_SESSION.as_str())).collect();
    if left.len() < names.len()
        && let Ok(left) = HeaderValue::try_from(left.join(","))
    {
        headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, left);
    }
}
