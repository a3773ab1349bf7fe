//! Samples over time, so that findings can speak of trends.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::MetricSample;
use crate::error::Result;

/// A stretch of one series of one machine.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesQuery {
    /// The machine.
    pub host: String,
    /// The series.
    pub series: String,
    /// From here on.
    pub from: DateTime<Utc>,
    /// Up to here, exclusive.
    pub to: DateTime<Utc>,
    /// At most so many points, spread evenly: each is the mean of its stretch.
    pub max_points: u32,
}

/// The history of metrics of any number of machines.
///
/// # Contract
/// - The series of one host are separate from those of every other, whatever they are called.
/// - Samples read back in the order of their time, from `from` up to but not with `to`.
/// - With more samples than `max_points` the answer has at most `max_points`, each the mean of its stretch.
/// - A second sample of the same host, series and instant replaces the first.
/// - `compact` replaces samples older than `fine_until` by one a minute (their mean), and removes those older than `keep_from`.
/// - `series` lists each series of the host once that has the prefix, in order.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MetricStore: Debug + Send + Sync + 'static {
    /// Adds samples.
    async fn append(&self, samples: &[MetricSample]) -> Result<()>;

    /// A stretch of one series.
    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricSample>>;

    /// Lists the names of the host's series that begin with `prefix`.
    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>>;

    /// Down-samples and forgets; tells how many samples were removed.
    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64>;
}
