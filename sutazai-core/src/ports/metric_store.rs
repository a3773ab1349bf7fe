//! Metric history port: samples over time, from which findings derive trends.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{MetricPoint, MetricSample};
use crate::error::Result;

/// A time range of one series of one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesQuery {
    /// Name of the measured machine.
    pub host: String,
    /// Metric path of the series.
    pub series: String,
    /// Start of the range, inclusive.
    pub from: DateTime<Utc>,
    /// End of the range, exclusive.
    pub to: DateTime<Utc>,
    /// Maximum number of points; each covers about the same number of consecutive samples.
    pub max_points: u32,
}

/// History of metrics of any number of machines.
///
/// # Contract
/// - The series of one host are separate from those of every other host, even with equal names.
/// - Points are returned in ascending order of time, from `from` inclusive to `to` exclusive. Up to `max_points` samples
///   are returned as they are.
/// - With more samples, the result has at most `max_points` points. Each has the mean, the least and the largest of its
///   samples, and the time of the first, so that a spike within a group stays visible.
/// - A second sample of the same host, series and instant replaces the first.
/// - `compact` replaces samples older than `fine_until` by their mean per minute, and removes those older than
///   `keep_from`.
/// - `series` lists each series of the host with the prefix once, in ascending order.
///
/// # Errors
/// Those of every [store](crate::ports#stores).
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use chrono::TimeDelta;
/// use sutazai_core::domain::{LOCAL_HOST, MetricSample};
/// use sutazai_core::memory::MemoryMetricStore;
/// use sutazai_core::ports::{Clock, MetricStore, SeriesQuery, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let store = MemoryMetricStore::new();
/// let now = SystemClock.now();
/// let sample = |ago, value| MetricSample {
///     host: LOCAL_HOST.into(),
///     series: "host.memory.used_percent".into(),
///     at: now - TimeDelta::seconds(ago),
///     value,
/// };
/// store.append(&[sample(60, 40.0), sample(0, 60.0)]).await?;
/// let query = SeriesQuery {
///     host: LOCAL_HOST.into(),
///     series: "host.memory.used_percent".into(),
///     from: now - TimeDelta::seconds(90),
///     to: now + TimeDelta::seconds(1),
///     max_points: 10,
/// };
/// assert_eq!(store.range(&query).await?.len(), 2);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait MetricStore: Debug + Send + Sync + 'static {
    /// Stores samples of any hosts and series.
    async fn append(&self, samples: &[MetricSample]) -> Result<()>;

    /// Returns the points of a time range of one series.
    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricPoint>>;

    /// Lists the names of the host's series that begin with `prefix`.
    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>>;

    /// Downsamples and removes old samples; returns the number of removed samples.
    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64>;
}
