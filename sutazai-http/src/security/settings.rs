//! Security settings of a router.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sutazai_core::ports::{Clock, Quota, RateLimiter};

use super::{CorsOrigins, GovernorRateLimiter, TrustedProxies};

/// Security settings of a router. By default there is no rate limit, no trusted proxy and no CORS origin: a router
/// that is nested into an embedder's service relies on that service's own settings.
#[derive(Debug, Clone)]
pub struct SecuritySettings {
    /// Rate limits of callers; `None`: unlimited.
    pub rate_limits: Option<RateLimits>,
    /// Proxies whose forwarded client addresses are trusted.
    pub trusted_proxies: TrustedProxies,
    /// Web origins whose pages may call the API.
    pub cors_origins: CorsOrigins,
    /// Address that the server listens on. While authentication is off, and at `/metrics` without a token, the `Host`
    /// of a request must be this address, `localhost` or a loopback address; `None`: one of the latter two.
    pub listen: Option<IpAddr>,
    /// Maximum duration of a request, including its body; default 30 s. Streams are exempt.
    pub request_timeout: Duration,
    /// Maximum time in which the body of a request must arrive; default 20 s.
    pub body_timeout: Duration,
    /// Memory in bytes that the bodies of all concurrent requests, parsed, and their large responses may occupy;
    /// default 256 MB. One user may use half of it.
    pub body_memory: usize,
    /// Maximum number of concurrent event streams and WebSockets of one user; default 32.
    pub streams_per_user: usize,
}

impl Default for SecuritySettings {
    fn default() -> Self {
        Self {
            rate_limits: None,
            trusted_proxies: TrustedProxies::default(),
            cors_origins: CorsOrigins::default(),
            listen: None,
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(20),
            body_memory: 256 * 1_000_000,
            streams_per_user: 32,
        }
    }
}

/// Rate limits for sign-in attempts and for other calls.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// Limit of requests that verify a password or a refresh token, by address.
    pub sign_in: Arc<dyn RateLimiter>,
    /// Limit of all other requests of authenticated callers, by user.
    pub calls: Arc<dyn RateLimiter>,
}

impl RateLimits {
    /// Creates limits in requests per minute, counted in this process.
    pub fn per_minute(sign_in: u32, calls: u32, clock: &Arc<dyn Clock>) -> Self {
        let limiter = |limit| Arc::new(GovernorRateLimiter::new(Quota::per_minute(limit), clock.clone()));
        Self { sign_in: limiter(sign_in), calls: limiter(calls) }
    }
}
