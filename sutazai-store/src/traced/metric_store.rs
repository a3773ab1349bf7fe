//! [`MetricStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::domain::MetricSample;
use sutazai_core::ports::{MetricStore, SeriesQuery};

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedMetricStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn MetricStore>,
}

#[async_trait]
impl MetricStore for TracedMetricStore {
    async fn append(&self, samples: &[MetricSample]) -> Result<()> {
        self.database.traced("INSERT", "metric_samples", self.store.append(samples)).await
    }

    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricSample>> {
        self.database.traced("SELECT", "metric_samples", self.store.range(query)).await
    }

    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>> {
        self.database.traced("SELECT", "metric_series", self.store.series(host, prefix)).await
    }

    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64> {
        self.database.traced("DELETE", "metric_samples", self.store.compact(fine_until, keep_from)).await
    }
}
