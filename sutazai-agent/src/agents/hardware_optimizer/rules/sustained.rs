//! Judgment of a state by consecutive readings: what a single one shows may be over already.

use chrono::{DateTime, Utc};
use sutazai_core::domain::Severity;

use super::bounds::Bounds;
use super::draft::Draft;
use super::trends::{Facts, MAX_GAP, Points, seconds};

/// Minimum number of readings past a bound for a warning.
const MIN_READINGS: usize = 2;
/// Minimum seconds that the readings of a critical finding cover; our choice.
const MIN_CRITICAL_SECONDS: f64 = 1.0;

/// Consequence of a finding that rests on a single reading.
pub(super) const ONCE: &str = "A single reading does not show whether this lasts.";

/// State past a bound, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub(super) severity: Severity,
    pub(super) bound: f64,
    /// Number of latest readings past the bound, including the current one.
    pub(super) readings: usize,
    /// Seconds that these readings cover.
    pub(super) seconds: f64,
}

impl Seen {
    /// Indicates that there is no other reading to compare with.
    pub(super) fn is_single(&self) -> bool {
        self.readings < MIN_READINGS
    }

    /// Adds the number of readings and their length to the evidence, as figures of `path`.
    pub(super) fn context(&self, draft: Draft, path: &str) -> Draft {
        let draft = draft.context(format!("{path}.readings"), self.readings as f64, "count");
        draft.context(format!("{path}.observed_seconds"), self.seconds, "seconds")
    }

    /// Adds a consequence if the finding rests on a single reading.
    pub(super) fn consequence(&self, draft: Draft) -> Draft {
        if self.is_single() { draft.consequences(&[ONCE]) } else { draft }
    }
}

/// Grades a state by its readings, the current one last; the current one covers `interval` seconds.
///
/// A bound counts if the last two readings or more are past it, and for a critical finding if these cover a second or
/// more. Without another reading the finding is informational.
pub(super) fn judge(
    facts: &Facts<'_>,
    bounds: Bounds,
    readings: &[(DateTime<Utc>, f64)],
    interval: f64,
) -> Option<Seen> {
    let now = facts.snapshot.taken_at;
    let (_, value) = readings.last().filter(|(at, _)| *at == now)?;
    facts.look();
    let (severity, bound) = bounds.grade(*value)?;
    let comparable = readings.iter().rev().nth(1).is_some_and(|(at, _)| now - *at <= MAX_GAP);
    if !comparable {
        return Some(Seen { severity: Severity::Info, bound, readings: 1, seconds: interval });
    }
    [(severity, bound), bounds.milder()].into_iter().find_map(|(severity, bound)| {
        let (readings, seconds) = run_over(facts, readings, bound)?;
        let seen = Seen { severity, bound, readings, seconds: seconds + interval };
        let enough = severity < Severity::Critical || seen.seconds >= MIN_CRITICAL_SECONDS;
        (readings >= MIN_READINGS && enough).then_some(seen)
    })
}

/// Returns the number of latest readings over the bound without a break, and the seconds since the first of them;
/// `None` when the current one is not over it.
pub(super) fn run_over(
    facts: &Facts<'_>,
    readings: &[(DateTime<Utc>, f64)],
    bound: f64,
) -> Option<(usize, f64)> {
    let mut next = facts.snapshot.taken_at;
    let over = readings.iter().rev().take_while(|(at, value)| {
        let counts = *value > bound && next - *at <= MAX_GAP;
        next = *at;
        counts
    });
    let times: Vec<DateTime<Utc>> = over.map(|(at, _)| *at).collect();
    let first = times.last()?;
    Some((times.len(), seconds(facts.snapshot.taken_at - *first)))
}

/// Returns the readings of a series, each combined with that of another series at the same time, if there is one.
pub(super) fn combined(
    facts: &Facts<'_>,
    (series, value): (&str, f64),
    (other_series, other_value): (&str, f64),
    combine: impl Fn(f64, Option<f64>) -> f64,
) -> Points {
    let others = facts.readings(other_series, other_value);
    let other = |at: &DateTime<Utc>| others.iter().find(|(time, _)| time == at).map(|(_, value)| *value);
    let readings = facts.readings(series, value).into_iter();
    readings.map(|(at, value)| (at, combine(value, other(&at)))).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use sutazai_core::domain::Severity::{Critical, Info, Warning};
    use sutazai_core::domain::{EarlierValue, Snapshot};

    use super::super::sample::{healthy, host};
    use super::super::trends::Trends;
    use super::*;

    const BOUNDS: Bounds = Bounds::new(10.0, 20.0);
    const SERIES: &str = "state";

    /// Returns a snapshot with earlier readings, each with its age in seconds.
    fn read(earlier: &[(f64, f64)]) -> Snapshot {
        let mut snapshot = healthy();
        let earlier = earlier.iter().map(|(seconds_ago, value)| EarlierValue {
            series: SERIES.into(),
            seconds_ago: *seconds_ago,
            value: *value,
        });
        host(&mut snapshot).earlier = earlier.collect();
        snapshot
    }

    /// Judges a current reading of a quarter of a second.
    fn judged(earlier: &[(f64, f64)], now: f64, bounds: Bounds) -> Option<(Severity, f64, usize)> {
        let snapshot = read(earlier);
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        let seen = judge(&facts, bounds, &facts.readings(SERIES, now), 0.25)?;
        Some((seen.severity, seen.bound, seen.readings))
    }

    #[test]
    fn warning_needs_two_readings_and_critical_finding_a_second() {
        for (earlier, now, expected) in [
            // A single reading, and one after a long gap.
            (vec![], 10.0, None),
            (vec![], 10.1, Some((Info, 10.0, 1))),
            (vec![], 99.0, Some((Info, 20.0, 1))),
            (vec![(1801.0, 99.0)], 99.0, Some((Info, 20.0, 1))),
            (vec![(1800.0, 99.0)], 99.0, Some((Critical, 20.0, 2))),
            // Two readings.
            (vec![(60.0, 10.0)], 99.0, None),
            (vec![(60.0, 10.1)], 99.0, Some((Warning, 10.0, 2))),
            (vec![(60.0, 20.0)], 99.0, Some((Warning, 10.0, 2))),
            (vec![(60.0, 20.1)], 20.1, Some((Critical, 20.0, 2))),
            (vec![(60.0, 20.1)], 20.0, Some((Warning, 10.0, 2))),
            (vec![(60.0, 99.0)], 10.0, None),
            // Three readings: only those without a break count.
            (vec![(0.5, 99.0), (0.25, 9.0)], 99.0, None),
            (vec![(0.5, 99.0), (0.25, 99.0)], 99.0, Some((Warning, 10.0, 3))),
            (vec![(0.75, 99.0), (0.25, 99.0)], 99.0, Some((Critical, 20.0, 3))),
            (vec![(0.74, 99.0), (0.25, 99.0)], 99.0, Some((Warning, 10.0, 3))),
        ] {
            assert_eq!(judged(&earlier, now, BOUNDS), expected, "{earlier:?} {now}");
        }
        assert_eq!(judged(&[(0.25, 11.0)], f64::NAN, BOUNDS), None, "the current reading is missing");
    }

    #[test]
    fn mild_bounds_need_two_readings_as_well() {
        let mild = Bounds::mild(10.0, 20.0);
        for (earlier, now, expected) in [
            (vec![], 99.0, Some((Info, 20.0, 1))),
            (vec![(0.25, 15.0)], 15.0, Some((Info, 10.0, 2))),
            (vec![(0.25, 15.0)], 99.0, Some((Info, 10.0, 2))),
            (vec![(0.25, 21.0)], 99.0, Some((Warning, 20.0, 2))),
            (vec![(0.25, 9.0)], 99.0, None),
        ] {
            assert_eq!(judged(&earlier, now, mild), expected, "{earlier:?} {now}");
        }
    }

    #[test]
    fn readings_past_the_bound_are_counted_until_a_break() {
        for (earlier, now, expected) in [
            (vec![], 9.0, None),
            (vec![], 11.0, Some((1, 0.0))),
            (vec![(0.25, 11.0)], 11.0, Some((2, 0.25))),
            (vec![(0.5, 11.0), (0.25, 10.0)], 11.0, Some((1, 0.0))),
            (vec![(3600.0, 11.0)], 11.0, Some((1, 0.0))),
            (vec![(90.0, 11.0), (60.0, 12.0)], 11.0, Some((3, 90.0))),
        ] {
            let snapshot = read(&earlier);
            let no_trends = Trends::default();
            let facts = Facts::new(&snapshot, &no_trends);
            let found = run_over(&facts, &facts.readings(SERIES, now), 10.0);
            assert_eq!(found, expected, "{earlier:?} {now}");
        }
    }

    #[test]
    fn series_are_combined_at_equal_times() {
        let mut snapshot = read(&[(2.0, 1.0), (1.0, 2.0)]);
        let other = EarlierValue { series: "other".into(), seconds_ago: 1.0, value: 30.0 };
        host(&mut snapshot).earlier.push(other);
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        let sum = |value: f64, other: Option<f64>| value + other.unwrap_or(0.0);
        let now = snapshot.taken_at;
        let expected = [(2, 1.0), (1, 32.0), (0, 43.0)]
            .map(|(seconds_ago, value)| (now - TimeDelta::seconds(seconds_ago), value));
        assert_eq!(combined(&facts, (SERIES, 3.0), ("other", 40.0), sum), expected);
    }
}
