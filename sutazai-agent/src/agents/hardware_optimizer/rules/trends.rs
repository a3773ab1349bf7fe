//! Trends from the history and from the earlier readings of a snapshot: since when a value is past its bound, how fast
//! one grows, how much a counter rose.
//!
//! An analysis reads the history once: the last day of the few series that the rules need. Without history, only the
//! earlier readings of the snapshot are available; each result tells how much time its readings cover. Without anything
//! to compare with there is no trend, never an estimate.

use std::cell::Cell;
use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use sutazai_core::Result;
use sutazai_core::domain::{KernelLimit, Severity, Snapshot};
use sutazai_core::ports::{MetricStore, SeriesQuery};

/// Period of history that is read.
const HISTORY_WINDOW: TimeDelta = TimeDelta::hours(24);
/// Latest part of that period, which is read at full resolution, and its maximum number of points.
const FINE_WINDOW: TimeDelta = TimeDelta::hours(1);
const MAX_FINE_POINTS: u32 = 120;
/// Maximum number of points of the rest: one for each five minutes.
const MAX_COARSE_POINTS: u32 = 276;
/// Maximum age of the last point of a history that is used for the current state.
const MAX_SAMPLE_AGE: TimeDelta = TimeDelta::minutes(20);
/// Longest gap between two points; a longer one may hide that the value was within its bound.
pub(super) const MAX_GAP: TimeDelta = TimeDelta::minutes(30);
/// Maximum delay between an earlier reading of the snapshot and the sample of the same reading in a server's history.
const MAX_SAMPLING_DELAY: TimeDelta = TimeDelta::seconds(5);
/// Minimum number of readings for the rise of a counter.
pub(super) const MIN_COUNTER_READINGS: usize = 2;
/// Minimum number of readings for growth: two show that a value changed, not that it keeps changing.
const MIN_READINGS: usize = 3;
/// Periods in which growth is searched, the longest first, in addition to the last readings.
const GROWTH_WINDOWS: [TimeDelta; 4] =
    [TimeDelta::hours(24), TimeDelta::hours(6), TimeDelta::hours(1), TimeDelta::minutes(10)];
/// Number of readings below which each step must also be at least [`MIN_STEP_SHARE`] of the mean step, because a line
/// through few points fits by chance.
const MIN_READINGS_FOR_UNEVEN_STEPS: usize = 12;
const MIN_STEP_SHARE: f64 = 0.5;

/// Used share of a container's limit in percent below which no rule needs its history.
const MIN_CONTAINER_USED_PERCENT: f64 = 80.0;

pub(super) type Points = Vec<(DateTime<Utc>, f64)>;

/// Last day of the machine's history; the default is an empty history.
#[derive(Debug, Default)]
pub(in crate::agents::hardware_optimizer) struct Trends {
    now: DateTime<Utc>,
    series: BTreeMap<String, Points>,
}

/// Development of a value over the time that readings cover, until now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// Slope of the best-fitting straight line (least squares), per hour.
    pub(super) per_hour: f64,
    /// Coefficient of determination of that line, 0 to 1.
    pub(super) fit: f64,
    /// Time covered by the readings, in hours.
    pub(super) hours: f64,
    /// Number of readings in that time.
    pub(super) readings: usize,
    /// First value in that time.
    pub(super) first: f64,
    /// Current value, at the last reading.
    pub(super) last: f64,
    /// Share of the steps that did not fall by more than 1 %, 0 to 1.
    pub(super) not_falling: f64,
    /// Indicates that each step is at least half of the mean one.
    even: bool,
}

impl Growth {
    /// Returns whether the growth is likely to continue: a rising straight line, with even steps if there are few
    /// readings.
    pub(super) fn is_steady(&self, fit: f64) -> bool {
        self.per_hour > 0.0
            && self.fit >= fit
            && (self.readings >= MIN_READINGS_FOR_UNEVEN_STEPS || self.even)
    }
}

impl Trends {
    /// Reads the series that the rules need for this snapshot of `host`. A failure of the store is logged, and the
    /// result is empty.
    pub(in crate::agents::hardware_optimizer) async fn read(
        store: Option<&dyn MetricStore>,
        host: &str,
        snapshot: &Snapshot,
    ) -> Self {
        let Some(store) = store else { return Self::default() };
        Self::try_read(store, host, snapshot).await.unwrap_or_else(|e| {
            tracing::warn!(error = %e, "metric history read failed; findings have no trends");
            Self::default()
        })
    }

    async fn try_read(store: &dyn MetricStore, host: &str, snapshot: &Snapshot) -> Result<Self> {
        let now = snapshot.taken_at;
        let ago = |span| now.checked_sub_signed(span).unwrap_or(now);
        let stretches = [
            (ago(HISTORY_WINDOW), ago(FINE_WINDOW), MAX_COARSE_POINTS),
            (ago(FINE_WINDOW), now, MAX_FINE_POINTS),
        ];
        let mut series = BTreeMap::new();
        for name in needed_series(snapshot) {
            let mut points = Points::new();
            for (from, to, max_points) in stretches {
                let (host, series) = (host.to_owned(), name.clone());
                let read = store.range(&SeriesQuery { host, series, from, to, max_points }).await?;
                let finite = read.into_iter().filter(|point| point.mean.is_finite());
                points.extend(finite.map(|point| (point.at, point.mean)));
            }
            series.insert(name, points);
        }
        Ok(Self { now, series })
    }

    /// Returns since when the series has been over the bound without a break.
    pub(super) fn over_since(&self, series: &str, bound: f64) -> Option<DateTime<Utc>> {
        let mut since = None;
        let mut next = self.now;
        for (at, value) in self.fresh(series)?.iter().rev() {
            if *value <= bound || next - *at > MAX_GAP {
                break;
            }
            (since, next) = (Some(*at), *at);
        }
        since
    }

    /// Returns how much a counter rose above its lowest recorded value within `within`; `None` without history.
    pub(super) fn rise(&self, series: &str, within: TimeDelta, value: f64) -> Option<f64> {
        let points = self.fresh(series)?;
        let seen = points.iter().filter(|(at, _)| self.now - *at <= within);
        // A counter that fell was reset, so its current value is the rise since then.
        seen.map(|(_, before)| if *before > value { value } else { value - before }).reduce(f64::max)
    }

    /// Returns the points of a series that reaches up to now.
    fn fresh(&self, series: &str) -> Option<&Points> {
        let points = self.series.get(series)?;
        points.last().filter(|(at, _)| self.now - *at <= MAX_SAMPLE_AGE).map(|_| points)
    }
}

/// Input of the rules, and the record of what the current rule looked at. A copy has a record of its own.
#[derive(Clone)]
pub(in crate::agents::hardware_optimizer) struct Facts<'a> {
    /// State of the machine now.
    pub(in crate::agents::hardware_optimizer) snapshot: &'a Snapshot,
    /// Trends of the machine over the last day.
    pub(in crate::agents::hardware_optimizer) trends: &'a Trends,
    /// Worst severity among the findings of the rules that ran before; `None` if they found nothing.
    pub(super) worst_found: Option<Severity>,
    /// Number of things that the current rule has judged.
    looked_at: Cell<usize>,
    /// Indicates that the current rule met a thing with too few readings to judge it.
    lacks_readings: Cell<bool>,
}

impl<'a> Facts<'a> {
    /// Creates the input of the first rule, before which nothing was found.
    pub(in crate::agents::hardware_optimizer) fn new(snapshot: &'a Snapshot, trends: &'a Trends) -> Self {
        let (looked_at, lacks_readings) = (Cell::new(0), Cell::new(false));
        Self { snapshot, trends, worst_found: None, looked_at, lacks_readings }
    }
}

impl Facts<'_> {
    /// Counts one thing that the current rule judges, whatever the result.
    pub(super) fn look(&self) {
        self.look_at(1);
    }

    /// Counts several things that the current rule judges.
    pub(super) fn look_at(&self, things: usize) {
        self.looked_at.set(self.looked_at.get().saturating_add(things));
    }

    /// Notes that a thing has too few readings to be judged.
    pub(super) fn lack_readings(&self) {
        self.lacks_readings.set(true);
    }

    /// Returns the number of things that were judged and whether readings were too few, and clears both for the next
    /// rule.
    pub(super) fn take_record(&self) -> (usize, bool) {
        (self.looked_at.take(), self.lacks_readings.take())
    }

    /// Returns the readings of a series in order of time: its history, the earlier readings of the snapshot, and
    /// `value` as the current one.
    pub(super) fn readings(&self, series: &str, value: f64) -> Points {
        let now = self.snapshot.taken_at;
        let mut points = self.trends.series.get(series).cloned().unwrap_or_default();
        let host = self.snapshot.host.value().map(|host| &host.earlier);
        let group = self.snapshot.cgroup.value().map(|group| &group.earlier);
        let containers = self.snapshot.containers.value().map(|engine| &engine.earlier);
        let earlier = [host, group, containers].into_iter().flatten().flatten();
        let earlier = earlier.filter(|one| one.series == series && one.seconds_ago > 0.0);
        let earlier: Points = earlier
            .filter_map(|one| {
                let ago = TimeDelta::try_milliseconds((one.seconds_ago * 1000.0) as i64)?;
                Some((now.checked_sub_signed(ago)?, one.value))
            })
            .filter(|(at, _)| {
                !points
                    .iter()
                    .any(|(later, _)| (TimeDelta::zero()..=MAX_SAMPLING_DELAY).contains(&(*later - *at)))
            })
            .collect();
        points.extend(earlier);
        points.push((now, value));
        points.retain(|(_, value)| value.is_finite());
        points.sort_by_key(|(at, _)| *at);
        points
    }

    /// Returns the growth of a series over the longest period for which `steady` holds, down to the last readings;
    /// `None` when it holds for none.
    pub(super) fn growth(
        &self,
        series: &str,
        value: f64,
        within: TimeDelta,
        steady: impl Fn(&Growth) -> bool,
    ) -> Option<Growth> {
        let points = self.readings(series, value);
        if points.len() < MIN_READINGS {
            self.lack_readings();
            return None;
        }
        self.look();
        // Values before a gap say nothing about the current development.
        let unbroken =
            points.windows(2).rposition(|pair| pair[1].0 - pair[0].0 > MAX_GAP).map_or(0, |at| at + 1);
        let points = points.get(unbroken..)?;
        let now = self.snapshot.taken_at;
        let start = |span: TimeDelta| points.partition_point(|(at, _)| now - *at > span);
        let spans = GROWTH_WINDOWS.into_iter().filter(|span| *span <= within);
        let mut starts: Vec<usize> = std::iter::once(within).chain(spans).map(start).collect();
        starts.push(points.len().saturating_sub(MIN_READINGS));
        starts.dedup();
        starts
            .into_iter()
            .filter_map(|start| measure_growth(points.get(start..)?))
            .find(|growth| steady(growth))
    }
}

/// Returns how much a counter rose over these readings, resets included.
pub(super) fn risen(points: &[(DateTime<Utc>, f64)]) -> f64 {
    let step = |pair: &[(DateTime<Utc>, f64)]| match pair {
        [(_, before), (_, after)] if after >= before => after - before,
        [_, (_, after)] => *after,
        _ => 0.0,
    };
    points.windows(2).map(step).sum()
}

fn measure_growth(points: &[(DateTime<Utc>, f64)]) -> Option<Growth> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < MIN_READINGS {
        return None;
    }
    let (per_hour, fit) = line(points);
    let steps = points.len() - 1;
    let not_falling = points.windows(2).filter(|pair| pair[1].1 >= pair[0].1 * 0.99).count();
    // Compared by their rates, since the times between readings differ.
    let mean = (last.1 - first.1) / seconds(last.0 - first.0);
    let rate = |pair: &[(DateTime<Utc>, f64)]| (pair[1].1 - pair[0].1) / seconds(pair[1].0 - pair[0].0);
    let even = points.windows(2).all(|pair| pair[1].0 == pair[0].0 || rate(pair) >= mean * MIN_STEP_SHARE);
    Some(Growth {
        per_hour,
        fit,
        hours: hours(last.0 - first.0),
        readings: points.len(),
        first: first.1,
        last: last.1,
        not_falling: not_falling as f64 / steps as f64,
        even: even && mean > 0.0,
    })
}

/// Lists the series that the rules need, by the names that `metrics::history` gives them.
fn needed_series(snapshot: &Snapshot) -> Vec<String> {
    let mut names = Vec::new();
    if let Some(host) = snapshot.host.value() {
        let single = ["cpu.used_percent", "cpu.iowait_percent", "cpu.steal_percent", "memory.used_percent"];
        let more = ["memory.oom_kills", "swap.used_percent", "processes.blocked"];
        let swap = ["swap.in_bytes_per_second", "swap.out_bytes_per_second"];
        let tcp = ["tcp.segments_sent", "tcp.retransmitted", "tcp.listen_overflows"];
        let all = single.iter().chain(&more).chain(&swap).chain(&tcp);
        names.extend(all.map(|name| format!("host.{name}")));
        for device in &host.devices {
            let figures = ["operations_per_second", "latency_ms"];
            names.extend(figures.map(|figure| format!("host.devices[{}].{figure}", device.name)));
        }
        for network in &host.networks {
            let figures = ["packets", "errors", "drops", "queue_drops", "carrier_changes"];
            names.extend(figures.map(|figure| format!("host.networks[{}].{figure}", network.interface)));
        }
        let queues = host.limits.iter().filter(|limit| limit.limit == KernelLimit::ListenQueue);
        let ports = queues.filter_map(|queue| queue.of.as_deref());
        names.extend(ports.map(|port| format!("host.limits[listen_queue:{port}].used")));
        for disk in &host.disks {
            let figures = ["used_percent", "used_bytes", "inodes_used_percent"];
            names.extend(figures.map(|figure| format!("host.disks[{}].{figure}", disk.mount)));
        }
        for process in host.processes.iter().flat_map(|processes| &processes.top) {
            let figures = ["memory_bytes", "own_memory_bytes"];
            names.extend(figures.map(|f| format!("host.processes[{}:{}].{f}", process.name, process.pid)));
        }
    }
    if snapshot.pressure.value().is_some() {
        names.extend(["cpu", "memory", "io"].map(|resource| format!("pressure.{resource}.some_avg60")));
    }
    if let Some(group) = snapshot.cgroup.value() {
        let figures = ["memory_used_bytes", "oom_kills", "periods", "throttled_periods"];
        names.extend(figures.map(|figure| format!("cgroup[{}].{figure}", group.path)));
    }
    for container in snapshot.containers.value().into_iter().flat_map(|engine| &engine.containers) {
        let busy = container.cpu_percent.zip(container.cpu_limit_cores);
        let figures = [
            (container.memory_used_percent.is_some_and(is_near_limit), "memory_used_bytes"),
            (busy.is_some_and(|(used, cores)| is_near_limit(used / cores)), "cpu_percent"),
            (container.restarts.is_some_and(|restarts| restarts > 0), "restarts"),
            (container.oom_killed == Some(true), "oom_killed"),
        ];
        let needed = figures.into_iter().filter(|(needed, _)| *needed);
        names.extend(needed.map(|(_, figure)| format!("containers[{}].{figure}", container.name)));
    }
    let gpus = snapshot.gpus.value().into_iter().flatten();
    names.extend(gpus.map(|gpu| format!("gpus[{}].memory_used_bytes", gpu.index)));
    names
}

fn is_near_limit(used_percent: f64) -> bool {
    used_percent > MIN_CONTAINER_USED_PERCENT
}

pub(super) fn seconds(time: TimeDelta) -> f64 {
    time.num_milliseconds() as f64 / 1000.0
}

fn hours(time: TimeDelta) -> f64 {
    seconds(time) / 3600.0
}

/// Returns the slope per hour and the fit of the least-squares line.
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
    use super::super::sample::{healthy, host};
    use super::*;
    use std::sync::Arc;
    use sutazai_core::Error;
    use sutazai_core::domain::{EarlierValue, LOCAL_HOST, MetricSample};
    use sutazai_core::memory::MemoryMetricStore;
    use sutazai_core::testing::MockMetricStore;

    /// Returns the trends of a store with one series, whose values are five minutes apart, the last one five minutes
    /// ago.
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

    impl Trends {
        /// Adds the series of another history.
        pub(in super::super) fn join(&mut self, other: Self) {
            self.series.extend(other.series.into_iter().filter(|(_, points)| !points.is_empty()));
        }
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
    async fn gap_or_old_end_gives_no_trend() {
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

    fn with_earlier(series: &str, values: &[(f64, f64)]) -> Snapshot {
        let mut snapshot = healthy();
        let earlier = |(seconds_ago, value): &(f64, f64)| EarlierValue {
            series: series.to_owned(),
            seconds_ago: *seconds_ago,
            value: *value,
        };
        host(&mut snapshot).earlier = values.iter().map(earlier).collect();
        snapshot
    }

    fn rising(growth: &Growth) -> bool {
        growth.is_steady(0.8)
    }

    #[tokio::test]
    async fn growth_is_judged_by_the_longest_time_that_is_steady() {
        let snapshot = healthy();
        let growth = |trends: Trends, value: f64| {
            Facts::new(&snapshot, &trends).growth(CPU, value, HISTORY_WINDOW, rising)
        };
        let line: Vec<f64> = (0..13).map(|n| 100.0 + f64::from(n)).collect();
        let whole = growth(trends(&snapshot, CPU, &line).await, 113.0).unwrap();
        assert!((whole.per_hour - 12.0).abs() < 1e-9 && (whole.fit - 1.0).abs() < 1e-9, "{whole:?}");
        assert_eq!((whole.first, whole.last, whole.not_falling, whole.readings), (100.0, 113.0, 1.0, 14));
        let long = [vec![500.0; 30], line].concat();
        let lately = growth(trends(&snapshot, CPU, &long).await, 113.0).unwrap();
        assert!(lately.hours <= 1.0 && (lately.per_hour - 12.0).abs() < 1e-9, "{lately:?}");
        assert_eq!(growth(trends(&snapshot, CPU, &[5.0; 20]).await, 5.0), None, "level");
        assert_eq!(growth(trends(&snapshot, CPU, &[1.0]).await, 2.0), None, "two readings");
        let few = growth(trends(&snapshot, CPU, &[1.0, 2.0]).await, 3.0).unwrap();
        assert_eq!((few.readings, few.per_hour), (3, 12.0));
    }

    #[test]
    fn even_readings_of_one_snapshot_show_growth() {
        for (first, second, now, expected) in [
            (0.0, 10.0, 20.0, true),
            (0.0, 6.0, 20.0, true),
            (0.0, 4.0, 20.0, false),
            (0.0, 16.0, 20.0, false),
            (0.0, 0.0, 20.0, false),
            (20.0, 10.0, 0.0, false),
        ] {
            let snapshot = with_earlier(CPU, &[(0.5, first), (0.25, second)]);
            let growth = Facts::new(&snapshot, &Trends::default()).growth(CPU, now, HISTORY_WINDOW, rising);
            assert_eq!(growth.is_some(), expected, "{first} {second} {now}: {growth:?}");
        }
        let snapshot = with_earlier(CPU, &[(0.5, 0.0)]);
        let no_trends = Trends::default();
        let facts = Facts::new(&snapshot, &no_trends);
        assert_eq!(facts.growth(CPU, 10.0, HISTORY_WINDOW, rising), None, "two readings");
    }

    #[tokio::test]
    async fn reading_in_snapshot_and_history_counts_once() {
        let mut snapshot = with_earlier(CPU, &[(600.0, 1.0), (300.0, 2.0)]);
        let trends = trends(&snapshot, CPU, &[1.0, 2.0]).await;
        // The earlier readings of the snapshot were taken a little before the samples of the history.
        for (one, seconds_ago) in host(&mut snapshot).earlier.iter_mut().zip([604.0, 305.1]) {
            one.seconds_ago = seconds_ago;
        }
        let readings = Facts::new(&snapshot, &trends).readings(CPU, 3.0);
        let values: Vec<f64> = readings.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [1.0, 2.0, 2.0, 3.0], "within five seconds and beyond");
    }

    #[tokio::test]
    async fn reset_counter_rose_by_its_value() {
        let snapshot = healthy();
        let series = "host.memory.oom_kills";
        let history = trends(&snapshot, series, &[7.0, 7.0, 1.0, 2.0]).await;
        assert_eq!(history.rise(series, TimeDelta::hours(1), 2.0), Some(2.0));
        assert_eq!(history.rise(series, TimeDelta::minutes(12), 4.0), Some(3.0));
        assert_eq!(history.rise(series, TimeDelta::minutes(1), 4.0), None);
    }

    #[tokio::test]
    async fn failing_store_leaves_no_trends() {
        let mut store = MockMetricStore::new();
        store.expect_range().returning(|_| Err(Error::unavailable("gone")));
        assert!(Trends::read(Some(&store), LOCAL_HOST, &healthy()).await.series.is_empty());
        assert!(Trends::read(None, LOCAL_HOST, &healthy()).await.series.is_empty());
    }
}
