//! Liveness and readiness of the server.

pub(crate) mod ready;
pub(crate) mod show;
