//! The machine below.

pub(crate) mod metrics;
