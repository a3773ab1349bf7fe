//! What servers share in a Redis: counts of requests, and a cache. All of it may be lost at any time; whoever uses it
//! does without while Redis is away.
//!
//! * `connection`: [`Redis`], the one connection of a process, and what it does while the other end is away,
//! * `rate_limiter`: counting requests by one script,
//! * `cache`: texts with a lifetime.

mod cache;
mod connection;
mod rate_limiter;

pub use cache::RedisCache;
pub use connection::Redis;
pub use rate_limiter::RedisRateLimiter;
