//! Security settings of a router and their implementation: client addresses behind proxies, rate limits, CORS
//! origins, and bounds of the memory and the uploads that untrusted callers can cause.

pub(crate) mod address_lockout;
pub(crate) mod body_limit;
pub(crate) mod client_address;
mod cors_origins;
pub(crate) mod governor;
pub(crate) mod log_throttle;
pub(crate) mod origin;
pub(crate) mod request_memory;
mod settings;
pub(crate) mod uploads;

pub use client_address::TrustedProxies;
pub use cors_origins::CorsOrigins;
pub use governor::GovernorRateLimiter;
pub use settings::{RateLimits, SecuritySettings};
