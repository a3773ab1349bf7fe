//! `RedisRateLimiter` and `RedisCache` over a real Redis, which goes away and comes back.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod away;
#[path = "../fixtures/certificates.rs"]
mod certificates;
mod conformance;
mod place;
mod tls;

use std::time::Duration;

/// Bound against a hang: far more than what it bounds takes on a busy machine, and not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);
