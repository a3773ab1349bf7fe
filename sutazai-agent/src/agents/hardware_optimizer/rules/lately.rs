//! Judgment of the kernel's counters by their recent increase: a share since boot hides what began a minute ago, and
//! keeps showing what ended long ago.

use chrono::{DateTime, TimeDelta, Utc};

use super::rule::Facts;
use super::trends::{risen, seconds};

/// Period that is searched for enough events.
const LATELY: TimeDelta = TimeDelta::minutes(10);
/// Minimum number of readings: an event seen in only one step may be over.
const LEAST_READINGS: usize = 3;

/// Counter as its series and its current value.
pub(super) type Counter = (String, f64);

/// Result of judging the faults among events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// Enough recent events to judge.
    Lately(Share),
    /// Minutes of history with too few events.
    Quiet,
    /// No history that dates the counted events.
    Unknown,
}

/// Faults among events within a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share {
    pub(super) faults: f64,
    pub(super) events: f64,
    pub(super) seconds: f64,
    /// Indicates faults both in the last part of the period and before it.
    pub(super) lasts: bool,
}

impl Share {
    pub(super) fn per_second(&self) -> f64 {
        self.faults / self.seconds
    }

    pub(super) fn hours(&self) -> f64 {
        self.seconds / 3600.0
    }
}

/// Works like [`verdict`], and notes whether there were enough readings to judge by.
pub(super) fn judge(facts: &Facts<'_>, events: &Counter, faults: &[Counter], least: [f64; 2]) -> Verdict {
    let verdict = verdict(facts, events, faults, least);
    match verdict {
        Verdict::Lately(_) | Verdict::Quiet => facts.look(),
        Verdict::Unknown => facts.lack_readings(),
    }
    verdict
}

/// Returns the share of faults in the shortest period until now that has at least `least` events, of which the last part
/// has at least `least_at_last`.
pub(super) fn verdict(
    facts: &Facts<'_>,
    events: &Counter,
    faults: &[Counter],
    [least, least_at_last]: [f64; 2],
) -> Verdict {
    let events = facts.readings(&events.0, events.1);
    let mut faults: Vec<_> = faults.iter().map(|(series, value)| facts.readings(series, *value)).collect();
    // A counter without earlier readings shows no increase, and must not hide the others.
    if faults.iter().any(|one| one.len() > 1) {
        faults.retain(|one| one.len() > 1);
    }
    let at_all = |at: &DateTime<Utc>| -> Option<f64> {
        faults.iter().map(|one| one.iter().find(|(other, _)| other == at).map(|(_, value)| *value)).sum()
    };
    let joined = events.iter().filter_map(|(at, events)| Some((*at, *events, at_all(at)?)));
    let mut joined: Vec<(DateTime<Utc>, f64, f64)> = joined.collect();
    let now = facts.snapshot.taken_at;
    let covered = joined.first().is_some_and(|(first, ..)| now - *first >= LATELY);
    joined.retain(|(at, ..)| now - *at <= LATELY);
    let latest = joined.len().saturating_sub(LEAST_READINGS);
    if joined.len() >= LEAST_READINGS {
        let of = |part: fn(&(DateTime<Utc>, f64, f64)) -> f64, from: usize| {
            joined.iter().skip(from).map(|one| (one.0, part(one))).collect::<Vec<_>>()
        };
        for start in (0..=latest).rev() {
            let counted = of(|one| one.1, start);
            let events = risen(&counted);
            let last_part =
                (1..counted.len() - 1).rev().find(|from| risen(&counted[*from..]) >= least_at_last);
            if let Some(from) = last_part.filter(|_| events >= least) {
                let points = of(|one| one.2, start);
                let steps = [risen(&points[..=from]), risen(&points[from..])];
                return Verdict::Lately(Share {
                    faults: steps[0] + steps[1],
                    events,
                    seconds: seconds(now - joined[start].0),
                    lasts: steps.iter().all(|step| *step > 0.0),
                });
            }
        }
    }
    if covered { Verdict::Quiet } else { Verdict::Unknown }
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::{EarlierValue, Snapshot};

    use super::super::sample::{healthy, host};
    use super::super::trends::Trends;
    use super::super::trends::tests::trends;
    use super::*;

    /// Returns a snapshot with readings of events and faults, each with its age in seconds.
    fn counted(readings: &[(f64, f64, f64)]) -> Snapshot {
        let mut snapshot = healthy();
        for (seconds_ago, events, faults) in readings {
            for (series, value) in [("events", events), ("faults", faults)] {
                let (series, seconds_ago, value) = (series.to_owned(), *seconds_ago, *value);
                host(&mut snapshot).earlier.push(EarlierValue { series, seconds_ago, value });
            }
        }
        snapshot
    }

    fn judged(snapshot: &Snapshot, events: f64, faults: f64) -> Verdict {
        let no_trends = Trends::default();
        let facts = Facts::new(snapshot, &no_trends);
        judge(&facts, &("events".into(), events), &[("faults".into(), faults)], [100.0, 0.0])
    }

    #[test]
    fn shortest_interval_with_enough_events_applies() {
        // Long healthy, and every second event faulty for the last half second.
        let snapshot = counted(&[(300.0, 0.0, 0.0), (0.5, 1e6, 0.0), (0.25, 1e6 + 100.0, 50.0)]);
        let share = Share { faults: 100.0, events: 200.0, seconds: 0.5, lasts: true };
        assert_eq!(judged(&snapshot, 1e6 + 200.0, 100.0), Verdict::Lately(share));
        // Too few events in half a second: the time before counts too.
        let snapshot = counted(&[(300.0, 0.0, 0.0), (0.5, 500.0, 10.0), (0.25, 510.0, 10.0)]);
        let share = Share { faults: 15.0, events: 520.0, seconds: 300.0, lasts: true };
        assert_eq!(judged(&snapshot, 520.0, 15.0), Verdict::Lately(share));
    }

    #[test]
    fn change_within_one_step_does_not_persist() {
        for (middle, now, expected) in [(0.0, 50.0, false), (50.0, 50.0, false), (25.0, 50.0, true)] {
            let snapshot = counted(&[(0.5, 0.0, 0.0), (0.25, 100.0, middle)]);
            let Verdict::Lately(share) = judged(&snapshot, 200.0, now) else { panic!("not judged") };
            assert_eq!(share.lasts, expected, "{middle} {now}");
        }
    }

    #[test]
    fn last_part_has_enough_events() {
        // The last quarter of a second has two events, and none of them is faulty.
        let snapshot = counted(&[(90.0, 0.0, 0.0), (30.0, 600.0, 300.0), (0.25, 900.0, 450.0)]);
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        let (events, faults) = (("events".to_owned(), 902.0), ("faults".to_owned(), 450.0));
        for (least_at_last, lasts) in [(0.0, false), (2.0, false), (3.0, true), (302.0, true)] {
            let verdict = judge(&facts, &events, std::slice::from_ref(&faults), [100.0, least_at_last]);
            let Verdict::Lately(share) = verdict else { panic!("not judged") };
            assert_eq!(share.lasts, lasts, "{least_at_last}");
        }
        let verdict = judge(&facts, &events, &[faults], [100.0, 303.0]);
        assert_eq!(verdict, Verdict::Unknown, "no part has so many");
    }

    #[tokio::test]
    async fn history_without_events_is_quiet_and_no_history_is_unknown() {
        assert_eq!(judged(&healthy(), 1e6, 1e5), Verdict::Unknown);
        assert_eq!(judged(&counted(&[(0.5, 1e6, 0.0), (0.25, 1e6, 0.0)]), 1e6, 1e5), Verdict::Unknown);
        let [packets, drops] = ["host.networks[eth0].packets", "host.networks[eth0].drops"];
        let snapshot = healthy();
        let mut history = trends(&snapshot, packets, &[1e6; 3]).await;
        history.join(trends(&snapshot, drops, &[1e5; 3]).await);
        let facts = Facts::new(&snapshot, &history);
        let verdict = judge(&facts, &(packets.into(), 1e6), &[(drops.into(), 1e5)], [100.0, 0.0]);
        assert_eq!(verdict, Verdict::Quiet);
    }
}
