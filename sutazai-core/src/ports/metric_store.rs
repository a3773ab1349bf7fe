//! Metric history port: samples over time, from which findings derive trends.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::MetricSample;
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
    /// Maximum number of points, spread evenly over the range; each is the mean of its interval.
    pub max_points: u32,
}

/// History of metrics of any number of machines.
///
/// # Contract
/// - The series of one host are separate from those of every other host, even with equal names.
/// - Samples are returned in ascending order of time, from `from` inclusive to `to` exclusive.
/// - With more samples than `max_points`, the result has at most `max_points` points, each the mean of its interval.
/// - A second sample of the same host, series and instant replaces the first.
/// - `compact` replaces samples older than `fine_until` by their mean per minute, and removes those older than
///   `keep_from`.
/// - `series` lists each series of the host with the prefix once, in ascending order.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait MetricStore: Debug + Send + Sync + 'static {
    /// Stores samples of any hosts and series.
    async fn append(&self, samples: &[MetricSample]) -> Result<()>;

    /// Returns the samples of a time range of one series.
    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricSample>>;

    /// Lists the names of the host's series that begin with `prefix`.
    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>>;

    /// Downsamples and removes old samples; returns the number of removed samples.
    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64>;
}
