//! Middleware of all requests; `layers` combines the parts into axum layers.

mod answer;
mod authenticate;
pub(crate) mod body;
pub(crate) mod browser;
pub(crate) mod compress;
mod envelope;
pub(crate) mod host;
pub(crate) mod layers;
mod openai;
pub(crate) mod parameters;
pub(crate) mod permit;
pub(crate) mod rate_limit;
pub(crate) mod timeout;
mod trace;
