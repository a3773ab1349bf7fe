//! Metrics of the machine that the server runs on.

pub(crate) mod metrics;
