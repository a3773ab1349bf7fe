//! Metric history: stores the values of snapshots as samples in a [`MetricStore`], so that findings can report
//! trends.
//!
//! The series, each named by the position of its value in a snapshot, or as the evidence of a finding names a share that
//! is computed from two of them:
//!
//! | series | unit |
//! |---|---|
//! | `host.cpu.used_percent`, `host.cpu.iowait_percent`, `host.cpu.steal_percent` | percent |
//! | `host.cpu.load[1]`, `host.cpu.load[5]` | tasks |
//! | `host.memory.used_percent`, `host.memory.used_bytes` | percent, bytes |
//! | `host.memory.oom_kills` | count since boot |
//! | `host.swap.used_percent`, `host.swap.used_bytes` | percent, bytes |
//! | `host.swap.in_bytes_per_second`, `host.swap.out_bytes_per_second` | bytes/s |
//! | `host.disks[<mount>].used_percent`, `.used_bytes`, `.inodes_used_percent` | percent, bytes, percent |
//! | `host.devices[<name>].operations_per_second`, `.latency_ms` | 1/s, milliseconds |
//! | `host.processes.blocked` | count |
//! | `host.processes[<name>:<pid>].memory_bytes`, `.own_memory_bytes`, for the processes that stand out | bytes |
//! | `host.networks[<interface>].packets`, `.errors`, `.drops`, `.queue_drops`, `.carrier_changes` | count since boot |
//! | `host.tcp.segments_sent`, `host.tcp.retransmitted`, `host.tcp.listen_overflows` | count since boot |
//! | `host.limits[listen_queue:<port>].used`, for listening ports whose queue is more than half full | count |
//! | `host.limits[<kind>].used_percent`, `host.limits[<kind>:<of>].used_percent`, for limits of which half is used | percent |
//! | `host.files.open_percent` | percent |
//! | `host.temperatures[<sensor>].celsius` | degrees Celsius |
//! | `pressure.cpu.some_avg60`, `pressure.memory.some_avg60`, `pressure.io.some_avg60`, the same `.full_avg60` | percent |
//! | `cgroup[<path>].memory_used_bytes`, `.memory_used_percent`, `.pids_percent` | bytes, percent, percent |
//! | `cgroup[<path>].oom_kills`, `.periods`, `.throttled_periods` | count since the group was created |
//! | `containers[<name>].memory_used_bytes`, `.memory_used_percent`, `.cpu_percent`, `.pids_percent` | bytes, percent |
//! | `containers[<name>].restarts` | count since it was created or started by hand |
//! | `containers[<name>].oom_killed` | 1 if its latest run was killed for lack of memory, else 0 |
//! | `gpus[<index>].memory_used_bytes`, `.memory_used_percent`, `.celsius` | bytes, percent, degrees Celsius |
//! | `custom.<source>`, `custom.<source>.<property>...`, for numbers of an embedder's own sources | that of the source |
//!
//! Values that are missing in a snapshot give no sample.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::domain::earlier;
use crate::error::Result;
use crate::metric_samples::samples;
use crate::ports::{Clock, MetricSource, MetricStore, collect_snapshot};

/// Interval between two compactions of old samples.
const COMPACTION_INTERVAL: Duration = Duration::from_secs(3600);

/// Settings of the metric history: the interval between two snapshots, and the retention of samples.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sutazai_core::engine::Engine;
/// use sutazai_core::metric_history::MetricHistoryConfig;
///
/// let config = MetricHistoryConfig { interval: Duration::from_secs(10), ..MetricHistoryConfig::default() };
/// let builder = Engine::builder().metric_history(config);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricHistoryConfig {
    /// Time between two snapshots; default 60 s.
    pub interval: Duration,
    /// Time for which every sample is kept, before samples are reduced to one a minute; default 24 hours.
    pub full_resolution: Duration,
    /// Time after which samples are deleted; default 30 days.
    pub retention: Duration,
}

impl Default for MetricHistoryConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            full_resolution: Duration::from_secs(24 * 3600),
            retention: Duration::from_secs(30 * 24 * 3600),
        }
    }
}

/// Recorder that takes a snapshot at each interval and stores its samples.
#[derive(Debug)]
pub(crate) struct MetricHistory {
    store: Arc<dyn MetricStore>,
    clock: Arc<dyn Clock>,
    host: String,
    config: MetricHistoryConfig,
}

impl MetricHistory {
    /// Creates a recorder of the machine `host`. Machines that share a store need different names.
    pub(crate) fn new(
        store: Arc<dyn MetricStore>,
        clock: Arc<dyn Clock>,
        host: String,
        config: MetricHistoryConfig,
    ) -> Self {
        Self { store, clock, host, config }
    }

    /// Samples now and at each interval until `stop` fires. A failure of the store is logged, and the next interval
    /// tries again.
    pub(crate) async fn run(&self, sources: &[Arc<dyn MetricSource>], stop: CancellationToken) {
        let mut compacted: Option<DateTime<Utc>> = None;
        let sampling = async {
            loop {
                if let Err(e) = self.sample(sources).await {
                    tracing::warn!(error = %e, "metric history write failed");
                }
                let now = self.clock.now();
                if compacted
                    .is_none_or(|then| (now - then).to_std().is_ok_and(|since| since >= COMPACTION_INTERVAL))
                {
                    match self.compact().await {
                        Ok(_) => compacted = Some(now),
                        Err(e) => tracing::warn!(error = %e, "metric history compaction failed"),
                    }
                }
                self.clock.sleep(self.config.interval).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sampling => {}
        }
    }

    async fn sample(&self, sources: &[Arc<dyn MetricSource>]) -> Result<()> {
        let snapshot = collect_snapshot(sources, self.clock.as_ref()).await;
        self.store.append(&samples(&self.host, &snapshot)).await
    }

    async fn compact(&self) -> Result<u64> {
        let now = self.clock.now();
        self.store
            .compact(earlier(now, self.config.full_resolution), earlier(now, self.config.retention))
            .await
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::{LOCAL_HOST, MetricSample, Pressure, PressureMetrics, SnapshotPart};
    use crate::error::Error;
    use crate::memory::MemoryMetricStore;
    use crate::ports::SeriesQuery;
    use crate::testing::{ManualClock, MockMetricSource, MockMetricStore};

    /// Creates the recorder of a host that samples every 20 s.
    fn history_of(host: &str, store: Arc<dyn MetricStore>, clock: Arc<ManualClock>) -> MetricHistory {
        let config =
            MetricHistoryConfig { interval: Duration::from_secs(20), ..MetricHistoryConfig::default() };
        MetricHistory::new(store, clock, host.to_owned(), config)
    }

    fn source() -> Arc<dyn MetricSource> {
        let pressure =
            |some_avg60| Pressure { some_avg10: 0.0, some_avg60, full_avg10: None, full_avg60: None };
        let part = PressureMetrics {
            cpu: Some(pressure(1.0)),
            memory: Some(pressure(2.0)),
            io: Some(pressure(3.0)),
            missing: Vec::new(),
        };
        let mut source = MockMetricSource::new();
        source.expect_name().return_const("pressure".to_owned());
        source.expect_collect().returning(move || Ok(SnapshotPart::Pressure(part.clone())));
        Arc::new(source)
    }

    async fn points(store: &MemoryMetricStore, clock: &ManualClock) -> Vec<(i64, f64)> {
        let (from, to) = (clock.now() - TimeDelta::days(365), clock.now() + TimeDelta::seconds(1));
        let (host, series) = (LOCAL_HOST.to_owned(), "pressure.io.some_avg60".to_owned());
        let query = SeriesQuery { host, series, from, to, max_points: 1_000_000 };
        let points = store.range(&query).await.unwrap_or_default();
        points.iter().map(|point| ((clock.now() - point.at).num_seconds(), point.mean)).collect()
    }

    /// Lets the recorder run as far as it can while the clock does not advance.
    async fn settle() {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn samples_at_each_interval_until_stopped() {
        let (store, clock) = (Arc::new(MemoryMetricStore::new()), Arc::new(ManualClock::new()));
        let history = history_of(LOCAL_HOST, store.clone(), clock.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { history.run(&[source()], stop).await }
        });
        settle().await;
        assert_eq!(points(&store, &clock).await, [(0, 3.0)], "the first sample is taken at once");
        clock.advance(Duration::from_secs(19));
        settle().await;
        assert_eq!(points(&store, &clock).await.len(), 1);
        clock.advance(Duration::from_secs(1));
        settle().await;
        assert_eq!(points(&store, &clock).await, [(20, 3.0), (0, 3.0)]);
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn histories_of_two_hosts_in_one_store_stay_apart() {
        let (store, clock) = (Arc::new(MemoryMetricStore::new()), Arc::new(ManualClock::new()));
        for host in ["one", "two"] {
            let history = history_of(host, store.clone(), clock.clone());
            history.sample(&[source()]).await.unwrap();
        }
        for host in ["one", "two"] {
            assert_eq!(store.series(host, "pressure.io").await.unwrap(), ["pressure.io.some_avg60"]);
        }
        assert_eq!(store.series(LOCAL_HOST, "").await.unwrap(), [] as [&str; 0]);
        assert_eq!(points(&store, &clock).await, [], "samples of a named host are not the local ones");
    }

    #[tokio::test]
    async fn failing_store_is_retried() {
        let full = || Error::unavailable("the disk is full");
        let mut store = MockMetricStore::new();
        store.expect_append().times(1).returning(move |_| Err(full()));
        store.expect_compact().times(1).returning(move |_, _| Err(full()));
        store.expect_append().times(2).withf(|samples| samples.len() == 3).returning(|_| Ok(()));
        store.expect_compact().times(1).returning(|_, _| Ok(0));
        let log = tempfile::NamedTempFile::new().unwrap();
        let writer = Arc::new(log.reopen().unwrap());
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(writer).finish();
        let _log = tracing::subscriber::set_default(subscriber);
        let clock = Arc::new(ManualClock::new());
        let history = history_of(LOCAL_HOST, Arc::new(store), clock.clone());
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { history.run(&[source()], stop).await }
        });
        for _ in 0..2 {
            settle().await;
            clock.advance(Duration::from_secs(20));
        }
        settle().await;
        stop.cancel();
        running.await.unwrap();
        let log = std::fs::read_to_string(log.path()).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        for (line, failed) in lines.into_iter().zip(["write failed", "compaction failed"]) {
            assert!(line.contains(failed) && line.contains("the disk is full"), "{line}");
        }
    }

    #[tokio::test]
    async fn old_samples_are_compacted_and_deleted() {
        let (store, clock) = (Arc::new(MemoryMetricStore::new()), Arc::new(ManualClock::new()));
        let ago = |seconds| MetricSample {
            host: LOCAL_HOST.into(),
            series: "pressure.io.some_avg60".into(),
            at: clock.now() - TimeDelta::seconds(seconds),
            value: 1.0,
        };
        let hour = 3600;
        store
            .append(&[ago(50 * hour), ago(3 * hour), ago(3 * hour - 10), ago(hour), ago(hour - 10)])
            .await
            .unwrap();
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let config = MetricHistoryConfig {
            full_resolution: hours(2),
            retention: hours(48),
            ..MetricHistoryConfig::default()
        };
        let history = MetricHistory::new(store.clone(), clock.clone(), LOCAL_HOST.to_owned(), config);
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { history.run(&[source()], stop).await }
        });
        settle().await;
        let seconds: Vec<i64> = points(&store, &clock).await.into_iter().map(|(ago, _)| ago).collect();
        assert_eq!(seconds, [3 * hour, hour, hour - 10, 0]);
        stop.cancel();
        running.await.unwrap();
    }
}
