//! Throughput estimator: a moving average of the durations of recent attempts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Weight of the latest attempt in the exponentially weighted moving average.
const EWMA_WEIGHT: f64 = 1.0 / 8.0;
/// Lower bound of a measured duration in seconds; avoids division by zero.
const MIN_SECONDS: f64 = 1e-6;

/// Estimator of attempt durations, updated without locks.
#[derive(Debug, Default)]
pub(crate) struct AttemptDurationEstimator {
    /// Moving average in seconds, as the bits of an `f64`; 0 before the first attempt has ended.
    mean: AtomicU64,
    /// End of the latest attempt, as the monotonic time of the clock in microseconds.
    ended: AtomicU64,
}

impl AttemptDurationEstimator {
    /// Records the duration of an attempt that ended at `now`, a monotonic time of the clock.
    pub(crate) fn record(&self, took: Duration, now: Duration) {
        let took = took.as_secs_f64().max(MIN_SECONDS);
        let mean = self.mean();
        let mean = if mean > 0.0 { mean + (took - mean) * EWMA_WEIGHT } else { took };
        // Not atomic as a whole: one of two concurrent updates may be lost, which an estimate tolerates.
        self.mean.store(mean.to_bits(), Ordering::Relaxed);
        self.ended.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Estimates how many attempts one worker completes in this time; 0 if none has ended for as long before `now`, a
    /// monotonic time of the clock.
    pub(crate) fn attempts_in(&self, time: Duration, now: Duration) -> f64 {
        let (mean, ended) = (self.mean(), Duration::from_micros(self.ended.load(Ordering::Relaxed)));
        let since = now.saturating_sub(ended);
        if mean > 0.0 && since <= time { time.as_secs_f64() / mean } else { 0.0 }
    }

    fn mean(&self) -> f64 {
        f64::from_bits(self.mean.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_follows_recent_attempts() {
        let (estimator, second) = (AttemptDurationEstimator::default(), Duration::from_secs(1));
        let now = second * 60;
        assert_eq!(estimator.attempts_in(second, now), 0.0);
        estimator.record(Duration::ZERO, now);
        assert!(estimator.attempts_in(second, now) > 100_000.0);
        estimator.record(Duration::from_secs(8), now);
        assert!((0.5..=1.0).contains(&estimator.attempts_in(second, now)), "one long attempt tells");
        (0..100).for_each(|_| estimator.record(Duration::from_millis(1), now));
        assert!((900.0..=1_000.0).contains(&estimator.attempts_in(second, now + second)));
        assert_eq!(estimator.attempts_in(second / 2, now + second), 0.0, "none has ended for longer");
    }
}
