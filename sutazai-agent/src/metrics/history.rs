//! Metric history: stores the values of snapshots as samples in a [`MetricStore`], so that findings can report trends.
//!
//! The series, each named by the position of its value in a snapshot:
//!
//! | series | unit |
//! |---|---|
//! | `host.cpu.used_percent`, `host.cpu.iowait_percent`, `host.cpu.steal_percent` | percent |
//! | `host.cpu.load[1]` | tasks |
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
//! | `pressure.cpu.some_avg60`, `pressure.memory.some_avg60`, `pressure.io.some_avg60` | percent |
//! | `cgroup[<path>].memory_used_bytes` | bytes |
//! | `cgroup[<path>].oom_kills`, `.periods`, `.throttled_periods` | count since the group was created |
//! | `containers[<name>].memory_used_bytes`, `containers[<name>].cpu_percent` | bytes, percent |
//! | `containers[<name>].restarts` | count since it was created or started by hand |
//! | `containers[<name>].oom_killed` | 1 if its latest run was killed for lack of memory, else 0 |
//! | `gpus[<index>].memory_used_bytes` | bytes |
//!
//! Values that are missing in a snapshot give no sample.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::domain::{HostMetrics, KernelLimit, LOCAL_HOST, MetricSample, Snapshot, earlier};
use sutazai_core::ports::{Clock, MetricSource, MetricStore, collect_snapshot};
use tokio_util::sync::CancellationToken;

/// Interval between two compactions of old samples.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);

/// Recorder that takes a snapshot at each interval and stores its samples: all of them for a day, then one a minute.
#[derive(Debug)]
pub struct History {
    store: Arc<dyn MetricStore>,
    clock: Arc<dyn Clock>,
    host: String,
    interval: Duration,
    fine: Duration,
    keep: Duration,
}

impl History {
    /// Default of the time between two snapshots.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
    /// Default of the time for which samples are kept (30 days).
    pub const DEFAULT_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

    /// Creates a recorder that samples the host [`LOCAL_HOST`] every 60 s, keeps all samples for 24 hours and one a
    /// minute for 30 days.
    pub fn new(store: Arc<dyn MetricStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            host: LOCAL_HOST.to_owned(),
            interval: Self::DEFAULT_INTERVAL,
            fine: Duration::from_secs(24 * 3600),
            keep: Self::DEFAULT_RETENTION,
        }
    }

    /// Sets the name of this machine in its samples. Machines that share a store need different names.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = name.into();
        self
    }

    /// Sets the time between two snapshots.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the time for which every sample is kept before samples are reduced to one a minute.
    pub fn fine(mut self, fine: Duration) -> Self {
        self.fine = fine;
        self
    }

    /// Sets the time after which samples are deleted.
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Samples now and at each interval until `stop` fires. A failure of the store is logged, and the next interval
    /// tries again.
    pub async fn run(&self, sources: &[Arc<dyn MetricSource>], stop: CancellationToken) {
        let mut compacted: Option<DateTime<Utc>> = None;
        let sampling = async {
            loop {
                if let Err(e) = self.sample(sources).await {
                    tracing::warn!(error = %e, "metric history write failed");
                }
                let now = self.clock.now();
                if compacted
                    .is_none_or(|then| (now - then).to_std().is_ok_and(|since| since >= COMPACT_EVERY))
                {
                    match self.compact().await {
                        Ok(_) => compacted = Some(now),
                        Err(e) => tracing::warn!(error = %e, "metric history compaction failed"),
                    }
                }
                self.clock.sleep(self.interval).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = sampling => {}
        }
    }

    /// Converts one snapshot of the machine `host` into samples, in the series that the module's documentation lists.
    pub fn samples(host: &str, snapshot: &Snapshot) -> Vec<MetricSample> {
        let mut samples = Vec::new();
        let mut add = |series: String, value: f64| {
            samples.push(MetricSample { host: host.to_owned(), series, at: snapshot.taken_at, value });
        };
        if let Some(host) = snapshot.host.value() {
            host_samples(host, &mut add);
        }
        if let Some(pressure) = snapshot.pressure.value() {
            let resources = [("cpu", &pressure.cpu), ("memory", &pressure.memory), ("io", &pressure.io)];
            for (resource, pressure) in resources {
                if let Some(pressure) = pressure {
                    add(format!("pressure.{resource}.some_avg60"), pressure.some_avg60);
                }
            }
        }
        if let Some(group) = snapshot.cgroup.value() {
            let figures = [
                ("memory_used_bytes", group.memory_used_bytes),
                ("oom_kills", group.oom_kills),
                ("periods", group.periods),
                ("throttled_periods", group.throttled_periods),
            ];
            for (figure, value) in figures {
                if let Some(value) = value {
                    add(format!("cgroup[{}].{figure}", group.path), value as f64);
                }
            }
        }
        for container in snapshot.containers.value().iter().flat_map(|engine| &engine.containers) {
            let figures = [
                ("memory_used_bytes", container.memory_used_bytes.map(|used| used as f64)),
                ("cpu_percent", container.cpu_percent),
                ("restarts", container.restarts.map(|restarts| restarts as f64)),
                ("oom_killed", container.oom_killed.map(f64::from)),
            ];
            for (figure, value) in figures {
                if let Some(value) = value {
                    add(format!("containers[{}].{figure}", container.name), value);
                }
            }
        }
        for gpu in snapshot.gpus.value().into_iter().flatten() {
            if let Some(used) = gpu.memory_used_bytes {
                add(format!("gpus[{}].memory_used_bytes", gpu.index), used as f64);
            }
        }
        samples
    }

    async fn sample(&self, sources: &[Arc<dyn MetricSource>]) -> Result<()> {
        let snapshot = collect_snapshot(sources, self.clock.as_ref()).await;
        self.store.append(&Self::samples(&self.host, &snapshot)).await
    }

    async fn compact(&self) -> Result<u64> {
        let now = self.clock.now();
        self.store.compact(earlier(now, self.fine), earlier(now, self.keep)).await
    }
}

fn host_samples(host: &HostMetrics, add: &mut impl FnMut(String, f64)) {
    let number = |count: Option<u64>| count.map(|count| count as f64);
    let single = [
        ("cpu.used_percent", host.cpu.used_percent),
        ("cpu.iowait_percent", host.cpu.iowait_percent),
        ("cpu.steal_percent", host.cpu.steal_percent),
        ("cpu.load[1]", Some(host.cpu.load[0])),
        ("memory.used_percent", host.memory.used_percent),
        ("memory.used_bytes", number(host.memory.used_bytes)),
        ("memory.oom_kills", number(host.memory.oom_kills)),
        ("swap.used_percent", host.swap.used_percent),
        ("swap.used_bytes", number(host.swap.used_bytes)),
        ("swap.in_bytes_per_second", host.swap.in_bytes_per_second),
        ("swap.out_bytes_per_second", host.swap.out_bytes_per_second),
        ("processes.blocked", host.processes.as_ref().map(|processes| f64::from(processes.blocked))),
        ("tcp.segments_sent", number(host.tcp.as_ref().and_then(|tcp| tcp.segments_sent))),
        ("tcp.retransmitted", number(host.tcp.as_ref().and_then(|tcp| tcp.retransmitted))),
        ("tcp.listen_overflows", number(host.tcp.as_ref().and_then(|tcp| tcp.listen_overflows))),
    ];
    for (path, value) in single {
        if let Some(value) = value {
            add(format!("host.{path}"), value);
        }
    }
    for device in &host.devices {
        add(format!("host.devices[{}].operations_per_second", device.name), device.operations_per_second);
        if let Some(latency) = device.latency_ms {
            add(format!("host.devices[{}].latency_ms", device.name), latency);
        }
    }
    for disk in &host.disks {
        add(format!("host.disks[{}].used_percent", disk.mount), disk.used_percent);
        add(format!("host.disks[{}].used_bytes", disk.mount), disk.used_bytes as f64);
        if let Some(percent) = disk.inodes_used_percent {
            add(format!("host.disks[{}].inodes_used_percent", disk.mount), percent);
        }
    }
    for process in host.processes.iter().flat_map(|processes| &processes.top) {
        add(
            format!("host.processes[{}:{}].memory_bytes", process.name, process.pid),
            process.memory_bytes as f64,
        );
        if let Some(bytes) = process.own_memory_bytes {
            let (name, pid) = (&process.name, process.pid);
            add(format!("host.processes[{name}:{pid}].own_memory_bytes"), bytes as f64);
        }
    }
    for network in &host.networks {
        let figures = [
            ("packets", Some(network.packets)),
            ("errors", Some(network.errors)),
            ("drops", Some(network.drops)),
            ("queue_drops", network.queue_drops),
            ("carrier_changes", network.carrier_changes),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                add(format!("host.networks[{}].{figure}", network.interface), value as f64);
            }
        }
    }
    for queue in host.limits.iter().filter(|limit| limit.limit == KernelLimit::ListenQueue) {
        let port = queue.of.as_deref().unwrap_or_default();
        add(format!("host.limits[listen_queue:{port}].used"), queue.used as f64);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use sutazai_core::Error;
    use sutazai_core::domain::{Pressure, PressureMetrics, SnapshotPart};
    use sutazai_core::memory::MemoryMetricStore;
    use sutazai_core::ports::SeriesQuery;
    use sutazai_core::testing::{ManualClock, MockMetricSource, MockMetricStore};

    use super::*;

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
        let samples = store.range(&query).await.unwrap();
        samples.iter().map(|sample| ((clock.now() - sample.at).num_seconds(), sample.value)).collect()
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
        let history = History::new(store.clone(), clock.clone()).interval(Duration::from_secs(20));
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
            let history = History::new(store.clone(), clock.clone()).host(host);
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
        let history = History::new(Arc::new(store), clock.clone()).interval(Duration::from_secs(20));
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
        let history = History::new(store.clone(), clock.clone()).fine(hours(2)).keep(hours(48));
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
