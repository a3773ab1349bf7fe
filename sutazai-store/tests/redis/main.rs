//! `RedisRateLimiter` and `RedisCache` over a real Redis, which goes away and comes back.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod away;
#[path = "../fixtures/certificates.rs"]
mod certificates;
mod conformance;
mod place;
mod tls;
