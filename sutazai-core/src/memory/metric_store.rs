//! [`MetricStore`] over std collections: one lock, no durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::domain::{MetricPoint, MetricSample};
use crate::error::Result;
use crate::ports::{MetricStore, SeriesQuery};

type Series = BTreeMap<DateTime<Utc>, f64>;
/// All series, by host and name.
type AllSeries = BTreeMap<(String, String), Series>;

/// Metric samples in memory, lost when the process ends. For tests, examples, and embedders that need no durability.
#[derive(Debug, Default)]
pub struct MemoryMetricStore {
    series: Mutex<AllSeries>,
}

impl MemoryMetricStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, AllSeries> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl MetricStore for MemoryMetricStore {
    async fn append(&self, samples: &[MetricSample]) -> Result<()> {
        let mut all = self.lock();
        for sample in samples {
            let key = (sample.host.clone(), sample.series.clone());
            all.entry(key).or_default().insert(sample.at, sample.value);
        }
        Ok(())
    }

    async fn range(&self, query: &SeriesQuery) -> Result<Vec<MetricPoint>> {
        let all = self.lock();
        let key = (query.host.clone(), query.series.clone());
        let Some(series) = all.get(&key).filter(|_| query.from < query.to) else {
            return Ok(Vec::new());
        };
        let found: Vec<(DateTime<Utc>, f64)> =
            series.range(query.from..query.to).map(|(at, value)| (*at, *value)).collect();
        let points = found.len().min(query.max_points as usize);
        let group = |point: usize| &found[point * found.len() / points..(point + 1) * found.len() / points];
        Ok((0..points).map(|point| self::point(group(point))).collect())
    }

    async fn series(&self, host: &str, prefix: &str) -> Result<Vec<String>> {
        let all = self.lock();
        let from = all.range((host.to_owned(), prefix.to_owned())..).map(|(key, _)| key);
        let matching = from.take_while(|(of, name)| of == host && name.starts_with(prefix));
        Ok(matching.map(|(_, name)| name.clone()).collect())
    }

    async fn compact(&self, fine_until: DateTime<Utc>, keep_from: DateTime<Utc>) -> Result<u64> {
        let mut all = self.lock();
        let before: usize = all.values().map(Series::len).sum();
        for series in all.values_mut() {
            *series = series.split_off(&keep_from);
            let fine = series.split_off(&fine_until);
            *series = by_minute(series);
            series.extend(fine);
        }
        all.retain(|_, series| !series.is_empty());
        let after: usize = all.values().map(Series::len).sum();
        Ok((before - after) as u64)
    }
}

/// Reduces samples to one per minute: their mean, at the time of the first one.
fn by_minute(series: &Series) -> Series {
    let minute = |at: &DateTime<Utc>| at.duration_trunc(TimeDelta::minutes(1)).unwrap_or(*at);
    let samples: Vec<(DateTime<Utc>, f64)> = series.iter().map(|(at, value)| (*at, *value)).collect();
    let minutes = samples.chunk_by(|one, next| minute(&one.0) == minute(&next.0));
    minutes.map(|samples| (samples[0].0, mean(samples))).collect()
}

/// Combines samples, of which there is at least one, into a point.
fn point(samples: &[(DateTime<Utc>, f64)]) -> MetricPoint {
    let values = || samples.iter().map(|(_, value)| *value);
    MetricPoint {
        at: samples[0].0,
        mean: mean(samples),
        min: values().fold(f64::INFINITY, f64::min),
        max: values().fold(f64::NEG_INFINITY, f64::max),
    }
}

fn mean(samples: &[(DateTime<Utc>, f64)]) -> f64 {
    samples.iter().map(|(_, value)| value).sum::<f64>() / samples.len() as f64
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::testing::metric_store::run_all(|| async { Arc::new(MemoryMetricStore::new()) }).await;
    }
}
