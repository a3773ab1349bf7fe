//! Baseline of rates: the counters of an earlier reading.
//!
//! The last two readings are kept. A collection that follows another one closely is compared with the reading before
//! last, so that a rate never covers too short a time to be meaningful.

use std::time::{Duration, Instant};

/// Shortest interval of a rate: the kernel counts processor time in ticks of 10 ms.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Interval between the readings of the first collection, which takes three of its own: a single one may show something
/// that is over already, and a single step shows no trend.
pub(super) const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// Counters of the last two readings, with their times.
#[derive(Debug)]
pub(super) struct Baseline<T> {
    before_last: Option<(Instant, T)>,
    last: Option<(Instant, T)>,
}

impl<T> Default for Baseline<T> {
    fn default() -> Self {
        Self { before_last: None, last: None }
    }
}

impl<T> Baseline<T> {
    /// Returns the latest reading that is at least 100 ms old at `now`, and its age in seconds.
    pub(super) fn at(&self, now: Instant) -> Option<(&T, f64)> {
        [&self.last, &self.before_last].into_iter().flatten().find_map(|(then, counters)| {
            let since = now.saturating_duration_since(*then);
            (since >= MIN_INTERVAL).then_some((counters, since.as_secs_f64()))
        })
    }

    /// Returns the kept readings with their ages in seconds, oldest first.
    pub(super) fn readings(&self, now: Instant) -> Vec<(f64, &T)> {
        let kept = [&self.before_last, &self.last].into_iter().flatten();
        kept.map(|(then, counters)| (now.saturating_duration_since(*then).as_secs_f64(), counters)).collect()
    }

    /// Keeps a reading, unless the last one is so recent that the one before is still needed as the baseline.
    pub(super) fn push(&mut self, now: Instant, counters: T) {
        if self.last.as_ref().is_none_or(|(then, _)| now.saturating_duration_since(*then) >= MIN_INTERVAL) {
            self.before_last = self.last.replace((now, counters));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_covers_at_least_the_minimum_interval() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut baseline = Baseline::default();
        assert!(baseline.at(start).is_none());
        baseline.push(start, 1);
        assert!(baseline.at(start + ms(99)).is_none());
        assert_eq!(baseline.at(start + ms(250)), Some((&1, 0.25)));
        baseline.push(start + ms(250), 2);
        assert_eq!(
            baseline.at(start + ms(300)),
            Some((&1, 0.3)),
            "50 ms after a reading the one before counts"
        );
        assert_eq!(baseline.readings(start + ms(300)), [(0.3, &1), (0.05, &2)]);
        baseline.push(start + ms(300), 3);
        assert_eq!(baseline.at(start + ms(350)), Some((&2, 0.1)), "a reading too early was kept");
    }
}
