//! Metric source port, which measures one section of a snapshot.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::SnapshotPart;
use crate::error::Result;

/// A source of metrics for one section of a snapshot.
///
/// # Contract
/// - `name` is in snake case and never changes.
/// - A source always contributes the same part of the snapshot.
/// - A source that has nothing to measure here is `Unavailable` with the reason, never a part full of zeros.
/// - Two concurrent collections do not disturb each other.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MetricSource: Debug + Send + Sync + 'static {
    /// Name of the source and of its section: `host`, `pressure`, `cgroup`, `containers`, `gpus`, or a name of the
    /// embedder's own.
    fn name(&self) -> &str;

    /// Measures the section. Rates cover the time since the last collection; the first one samples for a short
    /// interval.
    async fn collect(&self) -> Result<SnapshotPart>;
}
