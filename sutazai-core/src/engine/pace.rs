//! How long attempts have taken of late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Each attempt counts for so much of the mean, those before it for the rest.
const WEIGHT: f64 = 1.0 / 8.0;
/// Nothing takes less.
const INSTANT: f64 = 1e-6;

/// How fast attempts have ended of late.
#[derive(Debug)]
pub(super) struct Pace {
    begun: Instant,
    /// The mean of the latest attempts, the last ones counting most, in seconds; 0 before the first has ended.
    mean: AtomicU64,
    /// When the last one ended, in microseconds since the beginning.
    ended: AtomicU64,
}

impl Default for Pace {
    fn default() -> Self {
        Self { begun: Instant::now(), mean: AtomicU64::default(), ended: AtomicU64::default() }
    }
}

impl Pace {
    /// Notes an attempt that has ended.
    pub(super) fn took(&self, took: Duration) {
        let took = took.as_secs_f64().max(INSTANT);
        let mean = self.mean();
        let mean = if mean > 0.0 { mean + (took - mean) * WEIGHT } else { took };
        // Two that end at the same time may be noted as one.
        self.mean.store(mean.to_bits(), Ordering::Relaxed);
        self.ended.store(self.now(), Ordering::Relaxed);
    }

    /// How many attempts one slot gets through in this time; none when none has ended for so long.
    pub(super) fn attempts_in(&self, time: Duration) -> f64 {
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
    fn the_pace_follows_what_attempts_take() {
        let (mut pace, second) = (Pace::default(), Duration::from_secs(1));
        assert_eq!(pace.attempts_in(second), 0.0);
        pace.took(Duration::ZERO);
        assert!(pace.attempts_in(second) > 100_000.0);
        pace.took(Duration::from_secs(8));
        assert!((0.5..=1.0).contains(&pace.attempts_in(second)), "one long attempt tells");
        (0..100).for_each(|_| pace.took(Duration::from_millis(1)));
        assert!((900.0..=1_000.0).contains(&pace.attempts_in(second)));
        pace.begun -= second;
        assert_eq!(pace.attempts_in(second / 2), 0.0, "none has ended for longer");
    }
}
