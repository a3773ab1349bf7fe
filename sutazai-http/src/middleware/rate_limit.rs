//! Counts requests, and tells callers where they stand: `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers), and `Retry-After` (RFC 9110, 10.2.3) with a refusal.

use std::future::Future;
use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sutazai_core::domain::Caller;
use sutazai_core::ports::{Allowance, Quota, RateKey, RateLimiter};
use sutazai_core::{Error, ErrorKind};

use crate::app::App;
use crate::error::ApiError;
use crate::protection::RateLimits;

const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The name of the policy for tokens and keys that nobody was given.
const GUESSES: &str = "guesses";

/// For routes where passwords can be guessed at: by address.
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

/// For refresh tokens: by address, as calls are counted. Only those that are refused are counted as tries to sign in are, so that
/// many users behind one address refresh without keeping each other from it.
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
        Some(Allowance::Refused { retry_after }) => refusal("sign-in", quota, retry_after),
        Some(Allowance::Granted { remaining, whole_after }) => {
            told(answer, "sign-in", quota, remaining, whole_after)
        }
        None => answer,
    }
}

/// For routes whose caller is known: by user, whatever the session or API key, and by the key where it has a limit of its
/// own. Where there are no users nobody is counted.
pub(super) async fn calls(app: &App, request: Request, next: Next) -> Response {
    let keys = request.extensions().get::<Caller>().map(RateKey::of).into_iter().flatten();
    match &app.protection().rate_limits {
        Some(limits) => count(&*limits.calls, "calls", keys, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// Tokens and keys from one address that nobody was given. They are counted as tries to sign in are, but by themselves: a
/// program that goes on with a key that was removed keeps nobody beside it from signing in. While there are too many,
/// none more is looked at.
pub(crate) struct Guesses<'a> {
    app: &'a App,
    limits: &'a RateLimits,
    address: IpAddr,
}

impl<'a> Guesses<'a> {
    /// Those from where this request comes, if they are counted.
    pub(crate) fn of(app: &'a App, request: &Request) -> Option<Self> {
        let protection = app.protection();
        let limits = protection.rate_limits.as_ref()?;
        Some(Self { app, limits, address: protection.trusted_proxies.counted(request) })
    }

    /// What the next one is answered without a look at it; none when it may be looked at.
    pub(crate) fn refusal(&self) -> Option<Response> {
        let left = self.app.shut_out().left(self.address, self.app.engine().clock().now())?;
        Some(refusal(GUESSES, self.limits.sign_in.quota(), left))
    }

    /// Counts one that was refused like this, and gives what it is answered.
    pub(crate) async fn count(&self, refused: Error) -> Response {
        let (limiter, key) = (&*self.limits.sign_in, RateKey::Guesses(self.address));
        let refused = ApiError::from(refused).into_response();
        match take(limiter, GUESSES, &key).await {
            Some(Allowance::Granted { remaining, whole_after }) => {
                told(refused, GUESSES, limiter.quota(), remaining, whole_after)
            }
            Some(Allowance::Refused { retry_after }) => {
                self.app.shut_out().add(self.address, self.app.engine().clock().now(), retry_after);
                refusal(GUESSES, limiter.quota(), retry_after)
            }
            None => refused,
        }
    }
}

/// Counts a request for each of these keys, up to the first that has none left. The answer tells of the one that has the
/// fewest.
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
            Some(Allowance::Refused { retry_after }) => return refusal(policy, quota, retry_after),
            Some(Allowance::Granted { remaining, whole_after })
                if fewest.is_none_or(|(_, fewest, _)| remaining < fewest) =>
            {
                fewest = Some((quota, remaining, whole_after));
            }
            Some(Allowance::Granted { .. }) | None => {}
        }
    }
    match fewest {
        Some((quota, remaining, whole_after)) => told(answer.await, policy, quota, remaining, whole_after),
        None => answer.await,
    }
}

/// What a request is told; nothing when it cannot be counted: better uncounted than unanswered.
async fn take(limiter: &dyn RateLimiter, policy: &str, key: &RateKey) -> Option<Allowance> {
    let taken = limiter.take(key).await;
    taken.inspect_err(|e| tracing::warn!(policy, error = %e, "requests cannot be counted")).ok()
}

fn refusal(policy: &str, quota: Quota, retry_after: Duration) -> Response {
    tracing::debug!(policy, "a request was refused: too many");
    let what = if policy == GUESSES { "tokens and keys that are not good" } else { "requests" };
    let message =
        format!("too many {what}: expected at most {} in {} seconds", quota.limit, quota.window.as_secs());
    let refused = ApiError::from(Error::new(ErrorKind::RateLimited, message).with_retry_after(retry_after));
    told(refused.into_response(), policy, quota, 0, retry_after)
}

/// The answer, with where the caller stands.
fn told(mut answer: Response, policy: &str, quota: Quota, remaining: u32, after: Duration) -> Response {
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

/// Rounded up.
fn whole_seconds(after: Duration) -> u64 {
    after.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)
}
