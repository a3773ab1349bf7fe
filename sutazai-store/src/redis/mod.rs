//! Rate-limit counters and a cache in Redis, shared by several servers.
//!
//! All of it may be lost at any time: users of this module work without it while Redis is unreachable.
//!
//! - `connection`: [`Redis`], the one connection of a process, and its behavior while Redis is unreachable,
//! - `rate_limiter`: counting requests by one script,
//! - `cache`: strings with a time to live.

mod cache;
mod connection;
mod rate_limiter;

pub use cache::RedisCache;
pub use connection::Redis;
pub use rate_limiter::RedisRateLimiter;
