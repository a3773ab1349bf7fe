//! Counts requests, and tells callers where they stand: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers), and `Retry-After` (RFC 9110, 10.2.3) with a refusal.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;
use sutazai_core::ports::{Allowance, Quota, RateKey, RateLimiter};
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::error::ApiError;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// For routes where passwords and refresh tokens can be guessed at: by address.
pub(crate) async fn sign_in(State(app): State<App>, request: Request, next: Next) -> Response {
    let protection = app.protection();
    match &protection.rate_limits {
        Some(limits) => {
            let key = protection.trusted_proxies.key(&request);
            count(&*limits.sign_in, "sign-in", &key, request, next).await
        }
        None => next.run(request).await,
    }
}

/// For routes whose caller is known: by user, whether with a token or a key. Where there are no users nobody is counted.
pub(super) async fn calls(app: &App, request: Request, next: Next) -> Response {
    let user = request.extensions().get::<Caller>().and_then(Caller::owner);
    match (&app.protection().rate_limits, user) {
        (Some(limits), Some(user)) => {
            count(&*limits.calls, "calls", &RateKey::User(user), request, next).await
        }
        _ => next.run(request).await,
    }
}

async fn count(
    limiter: &dyn RateLimiter,
    policy: &str,
    key: &RateKey,
    request: Request,
    next: Next,
) -> Response {
    let quota = limiter.quota();
    let (mut response, remaining, after) = match limiter.take(key).await {
        Ok(Allowance::Granted { remaining, whole_after }) => {
            (next.run(request).await, remaining, whole_after)
        }
        Ok(Allowance::Refused { retry_after }) => {
            tracing::debug!(policy, "a request was refused: too many");
            (refusal(quota, retry_after).into_response(), 0, retry_after)
        }
        // Better uncounted than unanswered.
        Err(e) => {
            tracing::warn!(policy, error = %e, "requests cannot be counted");
            return next.run(request).await;
        }
    };
    let (limit, window, seconds) = (quota.limit, quota.window.as_secs(), whole_seconds(after));
    let headers = [
        (RATE_LIMIT_POLICY, format!("\"{policy}\";q={limit};w={window}")),
        (RATE_LIMIT, format!("\"{policy}\";r={remaining};t={seconds}")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn refusal(quota: Quota, retry_after: Duration) -> ApiError {
    let message =
        format!("too many requests: expected at most {} in {} seconds", quota.limit, quota.window.as_secs());
    Error::new(ErrorKind::RateLimited, message).with_retry_after(retry_after).into()
}

/// Rounded up.
fn whole_seconds(after: Duration) -> u64 {
    after.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
