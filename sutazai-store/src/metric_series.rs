//! Series of metric samples, which are inserted before the samples.

use sutazai_core::domain::MetricSample;

/// Returns one sample of each series, sorted by series: transactions that insert or lock series in one order
/// cannot deadlock.
pub(crate) fn one_of_each_series(samples: &[MetricSample]) -> Vec<&MetricSample> {
    let mut first: Vec<&MetricSample> = samples.iter().collect();
    first.sort_by_key(|sample| (&sample.host, &sample.series));
    first.dedup_by_key(|sample| (&sample.host, &sample.series));
    first
}
