//! Applies rate limits and reports their state: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers), and `Retry-After` (RFC 9110, 10.2.3) with a rejection.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;
use sutazai_core::ports::{Quota, RateKey, RateLimitDecision, RateLimiter};
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::error::ApiError;
use crate::security::RateLimits;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Name of the policy for failed authentication with unknown tokens and API keys.
const FAILED_AUTH: &str = "failed-auth";

/// Limits routes where passwords can be guessed, by address.
pub(crate) async fn sign_in(State(app): State<App>, request: Request, next: Next) -> Response {
    let protection = app.protection();
    match &protection.rate_limits {
        Some(limits) => {
            let key = RateKey::Address(protection.trusted_proxies.counted(&request));
            count(&*limits.sign_in, "sign-in", [key], next.run(request)).await
        }
        None => next.run(request).await,
    }
}

/// Limits token refresh, by address. All refreshes count as calls; only rejected ones also count as sign-in attempts.
/// Many users behind one address can refresh without blocking each other, while guessing stays as limited as for
/// passwords.
pub(crate) async fn refresh(State(app): State<App>, request: Request, next: Next) -> Response {
    let protection = app.protection();
    let Some(limits) = &protection.rate_limits else { return next.run(request).await };
    let key = RateKey::Address(protection.trusted_proxies.counted(&request));
    let answer = count(&*limits.calls, "calls", [key], next.run(request)).await;
    if !answer.status().is_client_error() || answer.status() == StatusCode::TOO_MANY_REQUESTS {
        return answer;
    }
    let quota = limits.sign_in.quota();
    match take(&*limits.sign_in, "sign-in", &key).await {
        Some(RateLimitDecision::Refused { retry_after }) => refusal("sign-in", quota, retry_after),
        Some(RateLimitDecision::Granted { remaining, whole_after }) => {
            with_rate_limit_headers(answer, "sign-in", quota, remaining, whole_after)
        }
        None => answer,
    }
}

/// Limits routes of authenticated callers: by user across all sessions and API keys, and by API key if it has a limit
/// of its own. Without users nothing is limited.
pub(super) async fn calls(app: &App, request: Request, next: Next) -> Response {
    let keys = request.extensions().get::<Caller>().map(RateKey::of).into_iter().flatten();
    match &app.protection().rate_limits {
        Some(limits) => count(&*limits.calls, "calls", keys, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// Failed authentication with unknown tokens and API keys, from one address. It has the limit of sign-in attempts but
/// a counter of its own: a program that keeps using a deleted key must not prevent others at its address from signing
/// in. While the limit is exceeded, no further unknown credential of the address is verified.
pub(crate) struct FailedAuth<'a> {
    app: &'a App,
    limits: &'a RateLimits,
    address: IpAddr,
}

impl<'a> FailedAuth<'a> {
    /// Creates the counter for the address of this request; `None` when rate limits are off.
    pub(crate) fn of(app: &'a App, request: &Request) -> Option<Self> {
        let protection = app.protection();
        let limits = protection.rate_limits.as_ref()?;
        Some(Self { app, limits, address: protection.trusted_proxies.counted(request) })
    }

    /// Returns the rejection of the next unknown credential while the address is locked out; `None` otherwise.
    pub(crate) fn refusal(&self) -> Option<Response> {
        let left = self.app.address_lockout().left(self.address, self.app.engine().clock().now())?;
        Some(refusal(FAILED_AUTH, self.limits.sign_in.quota(), left))
    }

    /// Counts a failed authentication, and returns the response: the failure itself, or 429 once the limit is
    /// exceeded.
    pub(crate) async fn count(&self, refused: Error) -> Response {
        let (limiter, key) = (&*self.limits.sign_in, RateKey::FailedAuth(self.address));
        let refused = ApiError::from(refused).into_response();
        match take(limiter, FAILED_AUTH, &key).await {
            Some(RateLimitDecision::Granted { remaining, whole_after }) => {
                with_rate_limit_headers(refused, FAILED_AUTH, limiter.quota(), remaining, whole_after)
            }
            Some(RateLimitDecision::Refused { retry_after }) => {
                self.app.address_lockout().add(self.address, self.app.engine().clock().now(), retry_after);
                refusal(FAILED_AUTH, limiter.quota(), retry_after)
            }
            None => refused,
        }
    }
}

/// Counts a request against each of these keys, until one is exhausted. The response reports the key with the fewest
/// remaining requests.
async fn count(
    limiter: &dyn RateLimiter,
    policy: &str,
    keys: impl IntoIterator<Item = RateKey>,
    answer: impl Future<Output = Response>,
) -> Response {
    let mut fewest = None;
    for key in keys {
        let quota = limiter.quota().of(&key);
        match take(limiter, policy, &key).await {
            Some(RateLimitDecision::Refused { retry_after }) => return refusal(policy, quota, retry_after),
            Some(RateLimitDecision::Granted { remaining, whole_after })
                if fewest.is_none_or(|(_, fewest, _)| remaining < fewest) =>
            {
                fewest = Some((quota, remaining, whole_after));
            }
            Some(RateLimitDecision::Granted { .. }) | None => {}
        }
    }
    match fewest {
        Some((quota, remaining, whole_after)) => {
            with_rate_limit_headers(answer.await, policy, quota, remaining, whole_after)
        }
        None => answer.await,
    }
}

/// Counts a request against one key. `None` when the limiter fails: the request is then served uncounted, because an
/// outage of a shared limiter must not take the API down.
async fn take(limiter: &dyn RateLimiter, policy: &str, key: &RateKey) -> Option<RateLimitDecision> {
    let taken = limiter.take(key).await;
    taken.inspect_err(|e| tracing::warn!(policy, error = %e, "requests cannot be counted")).ok()
}

fn refusal(policy: &str, quota: Quota, retry_after: Duration) -> Response {
    tracing::debug!(policy, "request rejected: rate limit exceeded");
    let what = if policy == FAILED_AUTH { "invalid tokens and API keys" } else { "requests" };
    let message =
        format!("too many {what}: expected at most {} in {} seconds", quota.limit, quota.window.as_secs());
    let refused = ApiError::from(Error::new(ErrorKind::RateLimited, message).with_retry_after(retry_after));
    with_rate_limit_headers(refused.into_response(), policy, quota, 0, retry_after)
}

/// Adds the rate-limit headers to the response.
fn with_rate_limit_headers(
    mut answer: Response,
    policy: &str,
    quota: Quota,
    remaining: u32,
    after: Duration,
) -> Response {
    let (limit, window, seconds) = (quota.limit, quota.window.as_secs(), whole_seconds(after));
    let headers = [
        (RATE_LIMIT_POLICY, format!("\"{policy}\";q={limit};w={window}")),
        (RATE_LIMIT, format!("\"{policy}\";r={remaining};t={seconds}")),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// Rounds up to whole seconds.
fn whole_seconds(after: Duration) -> u64 {
    after.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
