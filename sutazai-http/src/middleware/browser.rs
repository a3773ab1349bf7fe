//! What browsers are told: which pages may call (CORS), and what they may do with an answer. An answer that is a page
//! says itself what it needs; what it says stays.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::app::App;
use crate::protection::CorsOrigins;

/// How long browsers may remember what they may send.
const PREFLIGHT_AGE: Duration = Duration::from_secs(3_600);
/// What the API answers is data: nothing in it is to be run, loaded, or shown inside another page.
const NOTHING: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Tells nginx to pass on each piece of a stream as it comes.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// Two years, as the lists of browsers ask for; names below ours are their owners' business.
const TWO_YEARS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// Lets pages of these origins call; without origins there is nothing to say, and browsers let nobody. There are no
/// cookies, so nothing is sent in a user's name that the page does not have itself.
pub(crate) fn cross_origin(origins: &CorsOrigins) -> Option<CorsLayer> {
    if origins.0.is_empty() {
        return None;
    }
    let name = HeaderName::from_static;
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        // Any: clients and tracing libraries of the named origins send headers of their own (`x-stainless-os`,
        // `traceparent`), which are not read here and do no harm.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            ETAG,
            LOCATION,
            RETRY_AFTER,
            name("ratelimit"),
            name("ratelimit-policy"),
            name("x-request-id"),
        ])
        .max_age(PREFLIGHT_AGE);
    Some(layer.allow_origin(match origins.all() {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.0.clone()),
    }))
}

/// Adds the security headers that an answer does not have yet, and to a stream what keeps a proxy from gathering it.
pub(super) async fn secure<F>(app: &App, request: Request, inner: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let over_tls = app.protection().trusted_proxies.scheme(&request) == "https";
    let mut response = inner(request).await;
    let headers = response.headers_mut();
    let word = HeaderValue::from_static;
    headers.insert(X_CONTENT_TYPE_OPTIONS, word("nosniff"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(NOTHING);
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
