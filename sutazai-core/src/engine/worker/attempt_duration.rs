//! Throughput estimator: a moving average of the durations of recent attempts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Weight of the latest attempt in the exponentially weighted moving average.
const EWMA_WEIGHT: f64 = 1.0 / 8.0;
/// Lower bound of a measured duration in seconds; avoids division by zero.
const MIN_SECONDS: f64 = 1e-6;

/// Estimator of attempt durations, updated without locks.
#[derive(Debug)]
pub(crate) struct AttemptDurationEstimator {
    begun: Instant,
    /// Moving average in seconds, as the bits of an `f64`; 0 before the first attempt has ended.
    mean: AtomicU64,
    /// End of the latest attempt, in microseconds since `begun`.
    ended: AtomicU64,
}

impl Default for AttemptDurationEstimator {
    fn default() -> Self {
        Self { begun: Instant::now(), mean: AtomicU64::default(), ended: AtomicU64::default() }
    }
}

impl AttemptDurationEstimator {
    /// Records the duration of an ended attempt.
    pub(crate) fn record(&self, took: Duration) {
        let took = took.as_secs_f64().max(MIN_SECONDS);
        let mean = self.mean();
        let mean = if mean > 0.0 { mean + (took - mean) * EWMA_WEIGHT } else { took };
        // Not atomic as a whole: one of two concurrent updates may be lost, which an estimate tolerates.
        self.mean.store(mean.to_bits(), Ordering::Relaxed);
        self.ended.store(self.now(), Ordering::Relaxed);
    }

    /// Estimates how many attempts one worker completes in this time; 0 if none has ended for as long.
    pub(crate) fn attempts_in(&self, time: Duration) -> f64 {
        let (mean, ended) = (self.mean(), Duration::from_micros(self.ended.load(Ordering::Relaxed)));
        let since = self.begun.elapsed().saturating_sub(ended);
        if mean > 0.0 && since <= time { time.as_secs_f64() / mean } else { 0.0 }
    }

    fn mean(&self) -> f64 {
        f64::from_bits(self.mean.load(Ordering::Relaxed))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_follows_recent_attempts() {
        let (mut pace, second) = (AttemptDurationEstimator::default(), Duration::from_secs(1));
        assert_eq!(pace.attempts_in(second), 0.0);
        pace.record(Duration::ZERO);
        assert!(pace.attempts_in(second) > 100_000.0);
        pace.record(Duration::from_secs(8));
        assert!((0.5..=1.0).contains(&pace.attempts_in(second)), "one long attempt tells");
        (0..100).for_each(|_| pace.record(Duration::from_millis(1)));
        assert!((900.0..=1_000.0).contains(&pace.attempts_in(second)));
        pace.begun -= second;
        assert_eq!(pace.attempts_in(second / 2), 0.0, "none has ended for longer");
    }
}
