//! [`crate::ports::MetricStore`] over std collections.

/// In the making.
#[derive(Debug, Default)]
pub struct MemoryMetricStore;
