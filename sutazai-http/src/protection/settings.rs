//! How a router is protected.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sutazai_core::ports::{Clock, Quota, RateLimiter};

use super::{CorsOrigins, GovernorRateLimiter, TrustedProxies};

/// The protection of a router. By default nobody is counted, no proxy is believed and no page of another origin may
/// call: a router inside somebody's own service has that service's protection.
#[derive(Debug, Clone)]
pub struct Protection {
    /// How often callers may ask; none: as often as they like.
    pub rate_limits: Option<RateLimits>,
    /// Whose word about a caller's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Which pages may call from a browser.
    pub cors_origins: CorsOrigins,
    /// The address that the server listens on. Where nobody signs in, and at `/metrics` without a token, requests must
    /// address the server by it, by `localhost` or by a loopback address; none: by the latter two.
    pub listen: Option<IpAddr>,
    /// How long a request may take, its body included; default 30 seconds. Streams have no limit.
    pub request_timeout: Duration,
    /// How long the body of a request may take to arrive; default 20 seconds.
    pub body_timeout: Duration,
    /// Memory in bytes that the bodies of all requests, parsed, and their large answers may take at once; default 256 MB.
    /// One user gets half of it.
    pub body_memory: usize,
    /// Event streams and WebSockets that one user may follow at once; default 32.
    pub streams_per_user: usize,
}

impl Default for Protection {
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

/// The two limits.
#[derive(Debug, Clone)]
pub struct RateLimits {
    /// For what passwords and refresh tokens can be guessed at, by address.
    pub sign_in: Arc<dyn RateLimiter>,
    /// For everything that a caller who is known asks for, by user.
    pub calls: Arc<dyn RateLimiter>,
}

impl RateLimits {
    /// So many a minute of each, counted in this process.
    pub fn per_minute(sign_in: u32, calls: u32, clock: &Arc<dyn Clock>) -> Self {
        let limiter = |limit| Arc::new(GovernorRateLimiter::new(Quota::per_minute(limit), clock.clone()));
        Self { sign_in: limiter(sign_in), calls: limiter(calls) }
    }
}
