//! What every request goes through on its way to a route and back.

pub(crate) mod authenticate;
pub(crate) mod browser;
pub(crate) mod compress;
pub(crate) mod envelope;
pub(crate) mod openai;
pub(crate) mod permit;
pub(crate) mod rate_limit;
pub(crate) mod slow_body;
pub(crate) mod timeout;
pub(crate) mod trace;
