//! What every request goes through on its way to a route and back; `layers` puts the parts together.

mod authenticate;
pub(crate) mod browser;
pub(crate) mod compress;
mod envelope;
pub(crate) mod layers;
pub(crate) mod openai;
pub(crate) mod permit;
pub(crate) mod rate_limit;
mod slow_body;
pub(crate) mod timeout;
mod trace;
