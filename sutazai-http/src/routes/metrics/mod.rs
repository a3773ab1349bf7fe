//! Figures for Prometheus.

pub(crate) mod show;
