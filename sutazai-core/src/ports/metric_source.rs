//! Something that can be measured.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::SnapshotPart;
use crate::error::Result;

/// A source of metrics.
///
/// # Contract
/// - `name` is in snake case and does not change.
/// - What it contributes is always the same part of the snapshot.
/// - A source that has nothing to measure here is `Unavailable` with the reason, never a part full of zeros.
/// - Two collections at once do not disturb each other.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MetricSource: Debug + Send + Sync + 'static {
    /// Its name, and the name of its section: `host`, `pressure`, `cgroup`, `containers`, `gpus`, or the
    /// embedder's own.
    fn name(&self) -> &str;

    /// Measures. Rates cover the time since the last collection, or a short interval of its own at the first.
    async fn collect(&self) -> Result<SnapshotPart>;
}
