//! Metrics in the text format of Prometheus.

pub(crate) mod show;
