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
///
/// # Examples
///
/// ```
/// use std::path::PathBuf;
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use serde_json::json;
/// use sutazai_core::domain::{Section, SnapshotPart};
/// use sutazai_core::engine::Engine;
/// use sutazai_core::ports::MetricSource;
/// use sutazai_core::{Error, Result};
///
/// /// Counts the entries of a folder.
/// #[derive(Debug)]
/// struct Spool(PathBuf);
///
/// #[async_trait]
/// impl MetricSource for Spool {
///     fn name(&self) -> &str {
///         "spool"
///     }
///
///     async fn collect(&self) -> Result<SnapshotPart> {
///         let entries = std::fs::read_dir(&self.0).map_err(|e| Error::unavailable(e.to_string()))?;
///         Ok(SnapshotPart::Custom("spool".into(), json!({ "entries": entries.count() })))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let engine = Engine::builder().metric_source(Arc::new(Spool("/no/such/folder".into()))).build()?;
/// let snapshot = engine.snapshot().await;
/// assert!(matches!(snapshot.custom["spool"], Section::Missing { .. }));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait MetricSource: Debug + Send + Sync + 'static {
    /// Name of the source and of its section: `host`, `pressure`, `cgroup`, `containers`, `gpus`, or a name of the
    /// embedder's own.
    fn name(&self) -> &str;

    /// Measures the section. Rates cover the time since the last collection; the first one samples for a short
    /// interval.
    ///
    /// # Errors
    /// `Unavailable` with the reason if there is nothing to measure here, or the measurement failed.
    ///
    /// # Cancel safety
    /// Dropping the future abandons the measurement, which may run on for a moment without a receiver; the next call
    /// measures as before.
    async fn collect(&self) -> Result<SnapshotPart>;
}
