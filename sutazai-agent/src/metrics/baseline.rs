//! Baseline of rates: the counters of earlier readings.
//!
//! A collection that follows another one closely is compared with a reading before that one, so that a rate never
//! covers too short a time to be meaningful.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Shortest interval of a rate: the kernel counts processor time in ticks of 10 ms.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// Interval between the readings of the first collection, which takes three of its own: a single one may show something
/// that is over already, and a single step shows no trend.
pub(super) const FIRST_INTERVAL: Duration = Duration::from_millis(250);

/// Number of readings that [`Baseline::readings`] returns: the baseline of the current rates, and the one before it,
/// with which they are compared.
const COMPARED_READINGS: usize = 2;

/// Number of kept readings. The latest of them may be too recent to compare with.
const KEPT_READINGS: usize = COMPARED_READINGS + 1;

/// Counters of the last three readings, with their times.
#[derive(Debug)]
pub(super) struct Baseline<T> {
    kept: VecDeque<(Instant, T)>,
}

impl<T> Default for Baseline<T> {
    fn default() -> Self {
        Self { kept: VecDeque::with_capacity(KEPT_READINGS) }
    }
}

impl<T> Baseline<T> {
    /// Returns the latest reading that is at least 100 ms old at `now`, and its age in seconds.
    pub(super) fn at(&self, now: Instant) -> Option<(&T, f64)> {
        self.comparable(now).next().map(|(seconds, counters)| (counters, seconds))
    }

    /// Returns the two latest readings that are at least 100 ms old at `now`, with their ages in seconds, oldest first.
    /// The last one is the baseline, so that the rates between both cover a time before that of the current rates.
    #[cfg(any(target_os = "linux", all(feature = "docker-metrics", unix), test))]
    pub(super) fn readings(&self, now: Instant) -> Vec<(f64, &T)> {
        let mut readings: Vec<(f64, &T)> = self.comparable(now).take(COMPARED_READINGS).collect();
        readings.reverse();
        readings
    }

    fn comparable(&self, now: Instant) -> impl Iterator<Item = (f64, &T)> {
        self.kept.iter().rev().filter_map(move |(then, counters)| {
            let since = now.saturating_duration_since(*then);
            (since >= MIN_INTERVAL).then_some((since.as_secs_f64(), counters))
        })
    }

    /// Keeps a reading, unless the last one is so recent that the one before is still needed as the baseline.
    pub(super) fn push(&mut self, now: Instant, counters: T) {
        let recent = |(then, _): &(Instant, T)| now.saturating_duration_since(*then) < MIN_INTERVAL;
        if self.kept.back().is_some_and(recent) {
            return;
        }
        if self.kept.len() == KEPT_READINGS {
            self.kept.pop_front();
        }
        self.kept.push_back((now, counters));
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
        baseline.push(start + ms(300), 3);
        assert_eq!(baseline.at(start + ms(350)), Some((&2, 0.1)), "a reading too early was kept");
    }

    #[test]
    fn readings_end_with_the_baseline() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut baseline = Baseline::default();
        for (at, reading) in [(0, 1), (250, 2), (500, 3)] {
            baseline.push(start + ms(at), reading);
        }
        assert_eq!(baseline.readings(start + ms(550)), [(0.55, &1), (0.3, &2)], "one is too recent");
        assert_eq!(baseline.readings(start + ms(600)), [(0.35, &2), (0.1, &3)]);
        baseline.push(start + ms(750), 4);
        assert_eq!(baseline.readings(start + ms(750)), [(0.5, &2), (0.25, &3)], "the oldest was kept");
    }
}
