//! What history says: since when a value is past its bound, how fast one grows, how much a counter rose.
//!
//! Read once for an analysis, the last day of the few series that the rules ask for. No history, a short one or one
//! that stopped means no trend, never a guess.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sutazai_core::Result;
use sutazai_core::domain::Snapshot;
use sutazai_core::ports::{MetricStore, SeriesQuery};

/// How far back is looked.
const SPAN: TimeDelta = TimeDelta::hours(24);
/// One point for five minutes.
const POINTS: u32 = 288;
/// History whose last point is older says nothing of now.
const FRESH: TimeDelta = TimeDelta::minutes(20);
/// A longer gap between two points may hide that a value was within its bound.
const GAP: TimeDelta = TimeDelta::minutes(30);
/// Growth is not judged by fewer points or within a shorter time.
const LEAST_POINTS: usize = 12;
const LEAST_HOURS: f64 = 1.0;

/// Below that used share of its limit, in percent, no rule asks since when a container is near it.
const NEAR_LIMIT: f64 = 80.0;

type Points = Vec<(DateTime<Utc>, f64)>;

/// The last day of the machine; the default is no history at all.
#[derive(Debug, Default)]
pub(in crate::agents::hardware_optimizer) struct Trends {
    now: DateTime<Utc>,
    series: BTreeMap<String, Points>,
}

/// How a value went over the time that history covers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Slope of the straight line that fits best (least squares).
    pub(super) per_hour: f64,
    /// How well the line fits, 0 to 1 (coefficient of determination).
    pub(super) fit: f64,
    /// Time covered.
    pub(super) hours: f64,
    /// The first value.
    pub(super) first: f64,
    /// The last value.
    pub(super) last: f64,
    /// Share of the steps that did not fall, 0 to 1.
    pub(super) not_falling: f64,
}

impl Trends {
    /// Reads what the rules ask for about this snapshot of this host. A failure of the store is logged, and there are no trends.
    pub(in crate::agents::hardware_optimizer) async fn read(
        store: Option<&dyn MetricStore>,
        host: &str,
        snapshot: &Snapshot,
    ) -> Self {
        let Some(store) = store else { return Self::default() };
        Self::try_read(store, host, snapshot).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "the metric history could not be read; findings go without trends");
            Self::default()
        })
    }

    async fn try_read(store: &dyn MetricStore, host: &str, snapshot: &Snapshot) -> Result<Self> {
        let now = snapshot.taken_at;
        let from = now.checked_sub_signed(SPAN).unwrap_or(now);
        let mut series = BTreeMap::new();
        for name in wanted(snapshot) {
            let query = SeriesQuery {
                host: host.to_owned(),
                series: name.clone(),
                from,
                to: now,
                max_points: POINTS,
            };
            let samples = store.range(&query).await?;
            let finite = samples.into_iter().filter(|sample| sample.value.is_finite());
            series.insert(name, finite.map(|sample| (sample.at, sample.value)).collect());
        }
        Ok(Self { now, series })
    }

    /// Since when the series has been over the bound without a break until now.
    pub(super) fn over_since(&self, series: &str, bound: f64) -> Option<DateTime<Utc>> {
        let mut since = None;
        let mut next = self.now;
        for (at, value) in self.fresh(series)?.iter().rev() {
            if *value <= bound || next - *at > GAP {
                break;
            }
            (since, next) = (Some(*at), *at);
        }
        since
    }

    /// How the series went within this time; none where there is too little of it.
    pub(super) fn growth(&self, series: &str, within: TimeDelta) -> Option<Growth> {
        let points = self.fresh(series)?;
        let points = &points[points.partition_point(|(at, _)| self.now - *at > within)..];
        let (first, last) = (points.first()?, points.last()?);
        let hours = hours(last.0 - first.0);
        if points.len() < LEAST_POINTS || hours < LEAST_HOURS {
            return None;
        }
        let (per_hour, fit) = line(points);
        let not_falling = points.windows(2).filter(|pair| pair[1].1 >= pair[0].1 * 0.99).count();
        Some(Growth {
            per_hour,
            fit,
            hours,
            first: first.1,
            last: last.1,
            not_falling: not_falling as f64 / (points.len() - 1) as f64,
        })
    }

    /// By how much a counter rose above the lowest value that history saw within this time; none without history.
    pub(super) fn rise(&self, series: &str, within: TimeDelta, value: f64) -> Option<f64> {
        let points = self.fresh(series)?;
        let seen = points.iter().filter(|(at, _)| self.now - *at <= within);
        // A counter that fell was reset: its value is what it has risen since.
        seen.map(|(_, before)| if *before > value { value } else { value - before }).reduce(f64::max)
    }

    /// The points of a series that reaches until now.
    fn fresh(&self, series: &str) -> Option<&Points> {
        let points = self.series.get(series)?;
        points.last().filter(|(at, _)| self.now - *at <= FRESH).map(|_| points)
    }
}

/// The series that the rules ask for, as `metrics::history` names them.
fn wanted(snapshot: &Snapshot) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(host) = snapshot.host.value() {
        let single = ["cpu.used_percent", "cpu.iowait_percent", "cpu.steal_percent", "memory.used_percent"];
        names.extend(
            single.iter().chain(&["memory.oom_kills", "swap.used_percent"]).map(|n| format!("host.{n}")),
        );
        for disk in &host.disks {
            let figures = ["used_percent", "used_bytes", "inodes_used_percent"];
            names.extend(figures.map(|figure| format!("host.disks[{}].{figure}", disk.mount)));
        }
        let processes = host.processes.top.iter();
        names.extend(processes.map(|one| format!("host.processes[{}:{}].memory_bytes", one.name, one.pid)));
    }
    if snapshot.pressure.value().is_some() {
        names.extend(["cpu", "memory", "io"].map(|resource| format!("pressure.{resource}.some_avg60")));
    }
    names.extend(snapshot.cgroup.value().map(|_| "cgroup.memory_used_bytes".to_owned()));
    let containers = snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers);
    let limited = containers.filter(|one| one.memory_used_percent.is_some_and(|used| used > NEAR_LIMIT));
    names.extend(limited.map(|one| format!("containers[{}].memory_used_bytes", one.name)));
    let gpus = snapshot.gpus.value().into_iter().flatten();
    names.extend(gpus.map(|gpu| format!("gpus[{}].memory_used_bytes", gpu.index)));
    names
}

fn hours(time: TimeDelta) -> f64 {
    time.num_seconds() as f64 / 3600.0
}

/// Slope an hour and fit of the least-squares line.
fn line(points: &[(DateTime<Utc>, f64)]) -> (f64, f64) {
    let count = points.len() as f64;
    let xy: Vec<(f64, f64)> = points.iter().map(|(at, value)| (hours(*at - points[0].0), *value)).collect();
    let mean_x = xy.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = xy.iter().map(|(_, y)| y).sum::<f64>() / count;
    let sum = |f: &dyn Fn(f64, f64) -> f64| xy.iter().map(|(x, y)| f(x - mean_x, y - mean_y)).sum::<f64>();
    let (xx, yy, xy) = (sum(&|x, _| x * x), sum(&|_, y| y * y), sum(&|x, y| x * y));
    if xx == 0.0 || yy == 0.0 { (0.0, 0.0) } else { (xy / xx, xy * xy / (xx * yy)) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::sample::healthy;
    use super::*;
    use std::sync::Arc;
    use sutazai_core::Error;
    use sutazai_core::domain::{LOCAL_HOST, MetricSample};
    use sutazai_core::memory::MemoryMetricStore;
    use sutazai_core::testing::MockMetricStore;

    /// Trends of a store that holds one series: values, five minutes apart, the last one five minutes ago.
    pub(in super::super) async fn trends(snapshot: &Snapshot, series: &str, values: &[f64]) -> Trends {
        let store = MemoryMetricStore::new();
        let ago = |index: usize| TimeDelta::minutes(5 * (values.len() - index) as i64);
        let sample = |(index, value): (usize, &f64)| MetricSample {
            host: LOCAL_HOST.to_owned(),
            series: series.to_owned(),
            at: snapshot.taken_at - ago(index),
            value: *value,
        };
        store.append(&values.iter().enumerate().map(sample).collect::<Vec<_>>()).await.unwrap();
        Trends::read(Some(&store), LOCAL_HOST, snapshot).await
    }

    const CPU: &str = "host.cpu.used_percent";

    #[tokio::test]
    async fn since_reaches_back_to_the_last_value_within_the_bound() {
        let snapshot = healthy();
        let history = trends(&snapshot, CPU, &[99.0, 90.0, 91.0, 92.0]).await;
        assert_eq!(history.over_since(CPU, 90.0), Some(snapshot.taken_at - TimeDelta::minutes(10)));
        assert_eq!(history.over_since(CPU, 92.0), None);
        assert_eq!(history.over_since("host.cpu.steal_percent", 1.0), None);
    }

    #[tokio::test]
    async fn a_gap_and_an_old_end_are_no_trend() {
        let snapshot = healthy();
        let store = Arc::new(MemoryMetricStore::new());
        let at = |minutes| MetricSample {
            host: LOCAL_HOST.to_owned(),
            series: CPU.into(),
            at: snapshot.taken_at - TimeDelta::minutes(minutes),
            value: 99.0,
        };
        let since = async || {
            let trends = Trends::read(Some(store.as_ref()), LOCAL_HOST, &snapshot).await;
            trends.over_since(CPU, 1.0).map(|since| (snapshot.taken_at - since).num_minutes())
        };
        store.append(&[at(51), at(21)]).await.unwrap();
        assert_eq!(since().await, None, "it ended too long ago");
        store.append(&[at(20)]).await.unwrap();
        assert_eq!(since().await, Some(51));
        store.append(&[at(82)]).await.unwrap();
        assert_eq!(since().await, Some(51), "a gap of more than half an hour");
        store.append(&[at(81)]).await.unwrap();
        assert_eq!(since().await, Some(82));
    }

    #[tokio::test]
    async fn history_of_another_host_gives_no_trend() {
        let (snapshot, store) = (healthy(), MemoryMetricStore::new());
        let sample = |host: &str, minutes| MetricSample {
            host: host.into(),
            series: CPU.into(),
            at: snapshot.taken_at - TimeDelta::minutes(minutes),
            value: 99.0,
        };
        store.append(&[sample("other", 15), sample("other", 10), sample("this", 5)]).await.unwrap();
        let since = async |host: &str| {
            let trends = Trends::read(Some(&store), host, &snapshot).await;
            trends.over_since(CPU, 1.0).map(|since| (snapshot.taken_at - since).num_minutes())
        };
        assert_eq!(since("this").await, Some(5));
        assert_eq!(since("other").await, Some(15));
        assert_eq!(since("third").await, None);
    }

    #[tokio::test]
    async fn growth_needs_an_hour_and_a_dozen_points() {
        let snapshot = healthy();
        let rising: Vec<f64> = (0..13).map(|n| 100.0 + f64::from(n)).collect();
        assert_eq!(trends(&snapshot, CPU, &rising[1..]).await.growth(CPU, SPAN), None);
        let growth = trends(&snapshot, CPU, &rising).await.growth(CPU, SPAN).unwrap();
        assert!((growth.per_hour - 12.0).abs() < 1e-9 && (growth.fit - 1.0).abs() < 1e-9, "{growth:?}");
        assert_eq!((growth.first, growth.last, growth.not_falling), (100.0, 112.0, 1.0));
        let long = [vec![500.0; 30], rising].concat();
        let lately = trends(&snapshot, CPU, &long).await.growth(CPU, TimeDelta::minutes(65)).unwrap();
        assert_eq!(lately, growth, "what was before does not count");
        let level = trends(&snapshot, CPU, &[5.0; 20]).await.growth(CPU, SPAN).unwrap();
        assert_eq!((level.per_hour, level.fit), (0.0, 0.0));
    }

    #[tokio::test]
    async fn a_counter_that_was_reset_rose_by_its_value() {
        let snapshot = healthy();
        let series = "host.memory.oom_kills";
        let history = trends(&snapshot, series, &[7.0, 7.0, 1.0, 2.0]).await;
        assert_eq!(history.rise(series, TimeDelta::hours(1), 2.0), Some(2.0));
        assert_eq!(history.rise(series, TimeDelta::minutes(12), 4.0), Some(3.0));
        assert_eq!(history.rise(series, TimeDelta::minutes(1), 4.0), None);
    }

    #[tokio::test]
    async fn a_store_that_fails_leaves_no_trends() {
        let mut store = MockMetricStore::new();
        store.expect_range().returning(|_| Err(Error::unavailable("gone")));
        assert!(Trends::read(Some(&store), LOCAL_HOST, &healthy()).await.series.is_empty());
        assert!(Trends::read(None, LOCAL_HOST, &healthy()).await.series.is_empty());
    }
}
