//! Source of the section `cgroup`: limits and use of the control group of this process (the kernel's
//! `Documentation/admin-guide/cgroup-v1` and `cgroup-v2.rst`).
//!
//! Limits hold for a group and everything below it, so the effective limit is the tightest one up to the root. Use is
//! read from the group that sets this limit, because that group reaches it.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::time::{ClockId, clock_gettime};
use sutazai_core::adapter::analysis_budget::SOURCE_TIMEOUT;
use sutazai_core::domain::{CgroupMetrics, EarlierValue, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};
use sutazai_core::{Error, Result};
use tokio::sync::Mutex;

use super::baseline::{Baseline, FIRST_INTERVAL};
use super::missing::{Missing, unreadable};
use super::own_thread::{Deadline, on_own_thread};

/// Value from which a memory limit of version 1 means none: its `unlimited` is the largest count of whole pages.
const UNLIMITED: u64 = 1 << 60;

/// Metric source for the control group of this process.
#[derive(Debug)]
pub struct CgroupMetricSource {
    reader: Reader,
    baseline: Mutex<Baseline<CgroupMetrics>>,
}

/// Paths of the files to read.
#[derive(Debug, Clone)]
struct Reader {
    membership: PathBuf,
    mount: PathBuf,
}

impl CgroupMetricSource {
    /// Creates a source that reads `/proc` and `/sys/fs/cgroup`.
    pub fn new() -> Self {
        Self::with_roots("/proc", "/sys/fs/cgroup")
    }

    /// Creates a source that reads trees laid out like `/proc` and `/sys/fs/cgroup`.
    pub fn with_roots(proc: impl AsRef<Path>, cgroup: impl AsRef<Path>) -> Self {
        let membership = proc.as_ref().join("self/cgroup");
        let reader = Reader { membership, mount: cgroup.as_ref().to_owned() };
        Self { reader, baseline: Mutex::default() }
    }

    async fn read(&self, deadline: Deadline) -> Result<CgroupMetrics> {
        let reader = self.reader.clone();
        on_own_thread("cgroup", deadline, move || reader.read()).await
    }
}

impl Reader {
    fn read(&self) -> Result<CgroupMetrics> {
        let path = self.membership.display();
        let membership = fs::read_to_string(&self.membership)
            .map_err(|e| Error::unavailable(format!("no control groups: {path} cannot be read: {e}")))?;
        let groups: Vec<Membership> = membership.lines().filter_map(Membership::parse).collect();
        let v1 = |controller| groups.iter().find(|group| group.controllers.contains(&controller));
        let files = GroupFiles::default();
        match (
            v1("memory").or(v1("cpu")).or(v1("pids")),
            groups.iter().find(|group| group.controllers.is_empty()),
        ) {
            (Some(first), _) => {
                let chain = |controller| v1(controller).map_or_else(Vec::new, |group| self.chain_v1(group));
                let [cpu, accounting] = ["cpu", "cpuacct"].map(chain);
                version_1(&files, first.path, &cpu, &accounting, &chain("memory"), &chain("pids"))
            }
            (None, Some(group)) => version_2(&files, group.path, &chain(&self.mount, group.path)),
            (None, None) => None,
        }
        .map(|group| CgroupMetrics { missing: files.missing.into_inner().into_figures(), ..group })
        .ok_or_else(|| {
            Error::unavailable(format!("no control group with limits under {}", self.mount.display()))
        })
    }

    /// Returns the group's folders in version 1. Controllers that share a hierarchy are mounted under their joined
    /// name, or each under its own.
    fn chain_v1(&self, group: &Membership) -> Vec<PathBuf> {
        let names = std::iter::once(group.controllers.join(","))
            .chain(group.controllers.iter().map(|name| name.to_string()));
        let mount = names.map(|name| self.mount.join(name)).find(|mount| mount.is_dir());
        mount.map_or_else(Vec::new, |mount| chain(&mount, group.path))
    }
}

impl Default for CgroupMetricSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl MetricSource for CgroupMetricSource {
    fn name(&self) -> &str {
        "cgroup"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let deadline = Deadline::after(SOURCE_TIMEOUT);
        let mut baseline = self.baseline.lock().await;
        if baseline.at(Instant::now()).is_none() {
            // As many readings as of the host, at the same time: they show whether the group is throttled now. A group
            // without a processor limit never is.
            for _ in 0..2 {
                let (now, group) = (Instant::now(), self.read(deadline).await?);
                if group.cpu_limit_cores.is_none() {
                    return Ok(SnapshotPart::Cgroup(group));
                }
                baseline.push(now, group);
                SystemClock.sleep(FIRST_INTERVAL).await;
            }
        }
        let (now, mut group) = (Instant::now(), self.read(deadline).await?);
        let counted = group.clone();
        for (seconds_ago, before) in baseline.readings(now) {
            group.earlier.extend(counters(before, seconds_ago));
        }
        baseline.push(now, counted);
        Ok(SnapshotPart::Cgroup(group))
    }
}

/// Returns the counters of a reading that was taken `seconds_ago`.
fn counters(group: &CgroupMetrics, seconds_ago: f64) -> impl Iterator<Item = EarlierValue> {
    let figures = [
        ("periods", group.periods.map(|count| count as f64)),
        ("throttled_periods", group.throttled_periods.map(|count| count as f64)),
        ("other_cpu_seconds", group.other_cpu_seconds),
    ];
    figures.into_iter().filter_map(move |(figure, value)| {
        let series = format!("cgroup[{}].{figure}", group.path);
        Some(EarlierValue { series, seconds_ago, value: value? })
    })
}

/// Returns the processor time of a group without that of this process, which measures and is no load.
fn without_this_process(group: Duration) -> f64 {
    let own = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    group.as_secs_f64() - own.as_secs_f64()
}

/// One line of `/proc/self/cgroup`: `4:memory:/a/b` in version 1, `0::/a/b` in version 2.
struct Membership<'a> {
    controllers: Vec<&'a str>,
    path: &'a str,
}

impl<'a> Membership<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?.split(',').filter(|name| !name.is_empty()).collect();
        Some(Self { controllers, path: fields.next()? })
    }
}

/// Returns the group's folder and those above it, innermost first. Inside a container the path may name a folder that
/// is not mounted there; the mounted folder is then the group itself.
fn chain(mount: &Path, path: &str) -> Vec<PathBuf> {
    let inner = mount.join(path.trim_start_matches('/'));
    let inner = if inner.is_dir() { inner } else { mount.to_owned() };
    inner.ancestors().take_while(|folder| folder.starts_with(mount)).map(Path::to_owned).collect()
}

/// Reads version 1. Each controller may be missing; without any of them there is no result.
fn version_1(
    files: &GroupFiles,
    path: &str,
    cpu: &[PathBuf],
    accounting: &[PathBuf],
    memory: &[PathBuf],
    pids: &[PathBuf],
) -> Option<CgroupMetrics> {
    // Another controller counts the time, in the folder at the same depth where both have the same groups.
    let other_time = |group: &Path| {
        let depth = cpu.iter().position(|folder| folder == group)?;
        let folder = accounting.get(depth).filter(|_| accounting.len() == cpu.len())?;
        Some(without_this_process(Duration::from_nanos(files.number(
            OTHER_TIME.0,
            folder,
            "cpuacct.usage",
        )?)))
    };
    let cpu = tightest(cpu, |group| {
        let quota = files.number(CPU_LIMIT, group, "cpu.cfs_quota_us")?;
        let period = files.number(CPU_LIMIT, group, "cpu.cfs_period_us").filter(|period| *period > 0)?;
        Some(quota as f64 / period as f64)
    });
    let memory = tightest(memory, |group| {
        files.number(MEMORY_LIMIT, group, "memory.limit_in_bytes").filter(|limit| *limit < UNLIMITED)
    });
    let pids = tightest(pids, |group| files.number(PIDS_LIMIT, group, "pids.max"));
    if cpu.is_none() && memory.is_none() && pids.is_none() {
        return None;
    }
    let (cpu_group, memory_group) = (cpu.map(|(_, group)| group), memory.map(|(_, group)| group));
    let throttling = |key| cpu_group.and_then(|group| files.keyed(key, group, "cpu.stat"));
    Some(CgroupMetrics {
        version: 1,
        path: path.to_owned(),
        cpu_limit_cores: cpu.and_then(|(limit, _)| limit),
        throttled_periods: throttling(THROTTLED),
        periods: throttling(PERIODS),
        memory_limit_bytes: memory.and_then(|(limit, _)| limit),
        memory_high_bytes: None,
        memory_used_bytes: memory_group.and_then(|group| {
            files.memory_used(group, "memory.usage_in_bytes", (MEMORY_USED, "total_inactive_file"))
        }),
        oom_kills: memory_group.and_then(|group| files.keyed(OOM_KILLS, group, "memory.oom_control")),
        pids_limit: pids.and_then(|(limit, _)| limit),
        pids: pids.and_then(|(_, group)| files.number(PIDS, group, "pids.current")),
        missing: Vec::new(),
        other_cpu_seconds: cpu_group.and_then(other_time),
        earlier: Vec::new(),
    })
}

fn version_2(files: &GroupFiles, path: &str, groups: &[PathBuf]) -> Option<CgroupMetrics> {
    // A hierarchy that no controller uses has this file too, but it is empty. No figure depends on it, so it may be
    // unreadable.
    let controllers = fs::read_to_string(groups.last()?.join("cgroup.controllers"));
    if controllers.is_ok_and(|controllers| controllers.trim().is_empty()) {
        return None;
    }
    let (cpu_limit, cpu_group) = tightest(groups, |group| {
        let line = files.text(CPU_LIMIT, group, "cpu.max")?;
        let (quota, period) = line.split_once(' ')?;
        let cores = quota.parse::<f64>().ok()? / period.parse::<f64>().ok()?;
        cores.is_finite().then_some(cores)
    })?;
    let (memory_limit, limit_group) =
        tightest(groups, |group| files.number(MEMORY_LIMIT, group, "memory.max"))?;
    let (memory_high, high_group) =
        tightest(groups, |group| files.number(MEMORY_HIGH, group, "memory.high"))?;
    // Use is read from the group whose limit is reached first.
    let high_first = memory_high.is_some_and(|high| memory_limit.is_none_or(|limit| high < limit));
    let memory_group = if high_first { high_group } else { limit_group };
    let (pids_limit, pids_group) = tightest(groups, |group| files.number(PIDS_LIMIT, group, "pids.max"))?;
    let figures = CgroupMetrics {
        version: 2,
        path: path.to_owned(),
        cpu_limit_cores: cpu_limit,
        throttled_periods: files.keyed(THROTTLED, cpu_group, "cpu.stat"),
        periods: files.keyed(PERIODS, cpu_group, "cpu.stat"),
        memory_limit_bytes: memory_limit,
        memory_high_bytes: memory_high,
        memory_used_bytes: files.memory_used(memory_group, "memory.current", (MEMORY_USED, "inactive_file")),
        oom_kills: files.keyed(OOM_KILLS, limit_group, "memory.events"),
        pids_limit,
        pids: files.number(PIDS, pids_group, "pids.current"),
        other_cpu_seconds: files
            .keyed(OTHER_TIME, cpu_group, "cpu.stat")
            .map(|microseconds| without_this_process(Duration::from_micros(microseconds))),
        earlier: Vec::new(),
        missing: Vec::new(),
    };
    files.any_was_read.get().then_some(figures)
}

/// Returns the smallest limit among the groups and the group that sets it; without any limit, the innermost group.
fn tightest<T: PartialOrd + Copy>(
    groups: &[PathBuf],
    limit: impl Fn(&Path) -> Option<T>,
) -> Option<(Option<T>, &Path)> {
    let mut found = (None, groups.first()?.as_path());
    for group in groups {
        if let Some(limit) = limit(group)
            && found.0.is_none_or(|other| limit < other)
        {
            found = (Some(limit), group);
        }
    }
    Some(found)
}

const CPU_LIMIT: &str = "cgroup.cpu_limit_cores";
const MEMORY_LIMIT: &str = "cgroup.memory_limit_bytes";
const MEMORY_HIGH: &str = "cgroup.memory_high_bytes";
const MEMORY_USED: &str = "cgroup.memory_used_bytes";
const PIDS_LIMIT: &str = "cgroup.pids_limit";
const PIDS: &str = "cgroup.pids";

/// Metric path of a figure, and the key of its line.
type Keyed = (&'static str, &'static str);

const THROTTLED: Keyed = ("cgroup.throttled_periods", "nr_throttled");
const PERIODS: Keyed = ("cgroup.periods", "nr_periods");
const OTHER_TIME: Keyed = ("cgroup.other_cpu_seconds", "usage_usec");
const OOM_KILLS: Keyed = ("cgroup.oom_kills", "oom_kill");

/// Reader of the groups' files. A group has only the files of its own controllers, so a file that does not exist is no
/// failure; one that cannot be read makes its figure missing.
#[derive(Debug, Default)]
struct GroupFiles {
    missing: RefCell<Missing>,
    any_was_read: Cell<bool>,
}

impl GroupFiles {
    fn text(&self, figure: &str, group: &Path, file: &str) -> Option<String> {
        let text = self.missing.borrow_mut().read_if_exists(&[figure], &group.join(file))?;
        self.any_was_read.set(true);
        Some(text.trim().to_owned())
    }

    /// Reads a file's only number; `max` and `-1`, which mean no limit, give `None`.
    fn number(&self, figure: &str, group: &Path, file: &str) -> Option<u64> {
        self.text(figure, group, file)?.parse().ok()
    }

    /// Reads the number after a key at the start of a line.
    fn keyed(&self, (figure, key): Keyed, group: &Path, file: &str) -> Option<u64> {
        let text = self.text(figure, group, file)?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        value?.trim().parse().ok()
    }

    /// Reads the memory in use, without the page cache that `memory.stat` counts under `cache`. If that is unknown, so
    /// is the use: a group full of cache is not near its limit.
    fn memory_used(&self, group: &Path, usage: &str, cache: Keyed) -> Option<u64> {
        const STATISTICS: &str = "memory.stat";
        let used = self.number(cache.0, group, usage)?;
        let statistics = group.join(STATISTICS);
        if !statistics.exists() {
            self.missing.borrow_mut().add(&[cache.0], unreadable(&statistics, &"it does not exist"));
            return None;
        }
        Some(used.saturating_sub(self.keyed(cache, group, STATISTICS)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a machine with these files, and their folders as needed.
    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, CgroupMetricSource) {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let source = CgroupMetricSource::with_roots(root.path().join("proc"), root.path().join("cgroup"));
        (root, source)
    }

    #[test]
    fn version_2_uses_the_tightest_limit_up_to_the_root() {
        let (_root, source) = machine(&[
            ("proc/self/cgroup", "0::/app.slice/web.service\n"),
            ("cgroup/cgroup.controllers", "cpu memory pids\n"),
            ("cgroup/app.slice/memory.max", "1000000\n"),
            ("cgroup/app.slice/memory.current", "700000\n"),
            ("cgroup/app.slice/memory.stat", "anon 5\ninactive_file_x 9\ninactive_file 200000\n"),
            ("cgroup/app.slice/memory.events", "low 0\noom 9\noom_kill 3\noom_group_kill 0\n"),
            ("cgroup/app.slice/cpu.max", "max 100000\n"),
            ("cgroup/app.slice/pids.max", "max\n"),
            ("cgroup/app.slice/web.service/memory.max", "max\n"),
            ("cgroup/app.slice/web.service/memory.current", "1\n"),
            ("cgroup/app.slice/web.service/cpu.max", "150000 100000\n"),
            (
                "cgroup/app.slice/web.service/cpu.stat",
                "usage_usec 1000000000000\nnr_periods 50\nnr_throttled 7\n",
            ),
            ("cgroup/app.slice/web.service/pids.max", "100\n"),
            ("cgroup/app.slice/web.service/pids.current", "12\n"),
        ]);
        let group = source.reader.read().unwrap();
        let used = 1e6 - group.other_cpu_seconds.unwrap();
        assert!((0.0..1e5).contains(&used), "the time of this process is left out: {group:?}");
        let expected = CgroupMetrics {
            version: 2,
            path: "/app.slice/web.service".into(),
            cpu_limit_cores: Some(1.5),
            throttled_periods: Some(7),
            periods: Some(50),
            memory_limit_bytes: Some(1_000_000),
            memory_high_bytes: None,
            memory_used_bytes: Some(500_000),
            oom_kills: Some(3),
            pids_limit: Some(100),
            pids: Some(12),
            other_cpu_seconds: group.other_cpu_seconds,
            earlier: Vec::new(),
            missing: Vec::new(),
        };
        assert_eq!(group, expected);
    }

    #[test]
    fn version_1_reads_each_controller_where_it_is_mounted() {
        let (_root, source) = machine(&[
            (
                "proc/self/cgroup",
                "5:pids:/x\n4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n",
            ),
            ("cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "50000\n"),
            ("cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n"),
            ("cgroup/cpu,cpuacct/docker/abc/cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 1\n"),
            ("cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            // View inside a container: the group itself is mounted, and the path does not exist.
            ("cgroup/memory/memory.limit_in_bytes", "4096000\n"),
            ("cgroup/memory/memory.usage_in_bytes", "3000000\n"),
            ("cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 1000000\n"),
            ("cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ]);
        let expected = CgroupMetrics {
            version: 1,
            path: "/docker/abc".into(),
            cpu_limit_cores: Some(0.5),
            throttled_periods: Some(4),
            periods: Some(10),
            memory_limit_bytes: Some(4_096_000),
            memory_high_bytes: None,
            memory_used_bytes: Some(2_000_000),
            oom_kills: Some(2),
            pids_limit: None,
            pids: None,
            other_cpu_seconds: None,
            earlier: Vec::new(),
            missing: Vec::new(),
        };
        assert_eq!(source.reader.read().unwrap(), expected);
    }

    #[test]
    fn one_controller_of_version_1_is_enough() {
        let cpu = [
            ("proc/self/cgroup", "3:cpu:/a\n"),
            ("cgroup/cpu/a/cpu.cfs_quota_us", "50000\n"),
            ("cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
        ];
        let pids = [
            ("proc/self/cgroup", "5:pids:/a\n"),
            ("cgroup/pids/a/pids.max", "9\n"),
            ("cgroup/pids/a/pids.current", "4\n"),
        ];
        for (files, cores, limit) in [(cpu, Some(0.5), None), (pids, None, Some(9))] {
            let (_root, source) = machine(&files);
            let group = source.reader.read().unwrap();
            assert_eq!((group.cpu_limit_cores, group.pids_limit), (cores, limit), "{files:?}");
            assert_eq!((group.memory_limit_bytes, group.memory_used_bytes), (None, None));
        }
    }

    #[test]
    fn memory_high_is_a_separate_limit() {
        let (_root, source) = machine(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("cgroup/cgroup.controllers", "cpu memory pids\n"),
            ("cgroup/a/memory.max", "9000\n"),
            ("cgroup/a/memory.current", "8000\n"),
            ("cgroup/a/memory.events", "oom_kill 2\n"),
            ("cgroup/a/b/memory.max", "max\n"),
            ("cgroup/a/b/memory.high", "5000\n"),
            ("cgroup/a/b/memory.current", "4900\n"),
            ("cgroup/a/b/memory.stat", "inactive_file 0\n"),
            ("cgroup/a/b/cpu.max", "1 0\n"),
        ]);
        let group = source.reader.read().unwrap();
        assert_eq!((group.memory_limit_bytes, group.memory_high_bytes), (Some(9000), Some(5000)));
        assert_eq!((group.memory_used_bytes, group.oom_kills), (Some(4900), Some(2)));
        assert_eq!(group.cpu_limit_cores, None, "a period of nothing");
    }

    #[test]
    fn missing_limit_is_none_and_missing_group_is_an_error() {
        let (_root, source) = machine(&[
            ("proc/self/cgroup", "4:memory:/\n3:cpu:/\n"),
            ("cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("cgroup/memory/memory.usage_in_bytes", "5\n"),
            ("cgroup/memory/memory.stat", "total_inactive_file 0\n"),
        ]);
        let group = source.reader.read().unwrap();
        assert_eq!(
            (group.cpu_limit_cores, group.memory_limit_bytes, group.memory_used_bytes),
            (None, None, Some(5))
        );

        for files in [
            vec![],
            vec![("proc/self/cgroup", "0::/\n")],
            vec![("proc/self/cgroup", "0::/\n"), ("cgroup/cgroup.controllers", "\n")],
        ] {
            let (_root, source) = machine(&files);
            let e = source.reader.read().unwrap_err();
            assert!(e.message().starts_with("no control group"), "{e}");
        }
    }

    /// A folder in place of a file cannot be read, not even by root.
    #[test]
    fn unreadable_file_loses_only_its_own_figure() {
        let version_1 = [
            ("proc/self/cgroup", "3:cpu:/a\n4:memory:/a\n5:pids:/a\n"),
            ("cgroup/cpu/a/cpu.cfs_quota_us", "50000\n"),
            ("cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
            ("cgroup/cpu/a/cpu.stat", "nr_periods 10\nnr_throttled 4\n"),
            ("cgroup/memory/a/memory.limit_in_bytes", "4096000\n"),
            ("cgroup/memory/a/memory.usage_in_bytes", "3000000\n"),
            ("cgroup/memory/a/memory.stat", "total_inactive_file 1000000\n"),
            ("cgroup/memory/a/memory.oom_control", "oom_kill 2\n"),
            ("cgroup/pids/a/pids.max", "9\n"),
            ("cgroup/pids/a/pids.current", "4\n"),
        ];
        let version_2 = [
            ("proc/self/cgroup", "0::/a\n"),
            ("cgroup/cgroup.controllers", "cpu memory pids\n"),
            ("cgroup/a/cpu.max", "50000 100000\n"),
            ("cgroup/a/cpu.stat", "nr_periods 10\nnr_throttled 4\n"),
            ("cgroup/a/memory.max", "4096000\n"),
            ("cgroup/a/memory.high", "max\n"),
            ("cgroup/a/memory.current", "3000000\n"),
            ("cgroup/a/memory.stat", "inactive_file 1000000\n"),
            ("cgroup/a/memory.events", "oom_kill 2\n"),
            ("cgroup/a/pids.max", "9\n"),
            ("cgroup/a/pids.current", "4\n"),
        ];
        for files in [&version_1[..], &version_2] {
            let (_root, source) = machine(files);
            let whole = serde_json::to_value(source.reader.read().unwrap()).unwrap();
            assert_eq!(whole["missing"], serde_json::json!([]));
            for (hidden, _) in &files[1..] {
                let (root, source) = machine(files);
                fs::remove_file(root.path().join(hidden)).unwrap();
                fs::create_dir(root.path().join(hidden)).unwrap();
                let group = source.reader.read().unwrap();
                let lost: Vec<String> = group.missing.iter().flat_map(|one| one.figures.clone()).collect();
                for missing in &group.missing {
                    assert!(missing.reason.contains(hidden), "{missing:?}");
                }
                let group = serde_json::to_value(group).unwrap();
                for (name, value) in whole.as_object().unwrap() {
                    let is_lost = lost.contains(&format!("cgroup.{name}"));
                    let expected = if is_lost { &serde_json::Value::Null } else { value };
                    assert!(name == "missing" || group[name] == *expected, "{hidden}: {group}");
                }
                let none_depends = hidden.ends_with("cgroup.controllers");
                assert_eq!(lost.is_empty(), none_depends, "{hidden}: {lost:?}");
            }
        }
    }

    #[test]
    fn version_1_counts_time_beside_the_group_that_limits_it() {
        let (_root, source) = machine(&[
            ("proc/self/cgroup", "3:cpu:/a/b\n2:cpuacct:/a/b\n"),
            ("cgroup/cpu/a/cpu.cfs_quota_us", "50000\n"),
            ("cgroup/cpu/a/cpu.cfs_period_us", "100000\n"),
            ("cgroup/cpu/a/b/cpu.cfs_quota_us", "-1\n"),
            ("cgroup/cpuacct/a/cpuacct.usage", "1000000000000000\n"),
            ("cgroup/cpuacct/a/b/cpuacct.usage", "1\n"),
        ]);
        let used = 1e6 - source.reader.read().unwrap().other_cpu_seconds.unwrap();
        assert!((0.0..1e5).contains(&used), "{used}");
    }

    #[tokio::test]
    async fn limited_group_is_read_three_times_and_then_once_each() {
        let (root, source) = machine(&[
            ("proc/self/cgroup", "0::/\n"),
            ("cgroup/cgroup.controllers", "cpu memory pids\n"),
            ("cgroup/cpu.max", "50000 100000\n"),
            ("cgroup/cpu.stat", "usage_usec 7\nnr_periods 50\nnr_throttled 7\n"),
        ]);
        let earlier = async || match source.collect().await.unwrap() {
            SnapshotPart::Cgroup(group) => group.earlier,
            other => panic!("{other:?} is not the section `cgroup`"),
        };
        let first = earlier().await;
        let periods: Vec<_> = first.iter().filter(|one| one.series == "cgroup[/].periods").collect();
        assert_eq!(periods.iter().map(|one| one.value).collect::<Vec<_>>(), [50.0; 2]);
        assert!(periods[0].seconds_ago > periods[1].seconds_ago, "the oldest one is first: {first:?}");
        assert_eq!(first.len(), 6, "periods, throttled ones and time: {first:?}");
        assert_eq!(earlier().await.len(), 6);

        fs::write(root.path().join("cgroup/cpu.max"), "max 100000\n").unwrap();
        let unlimited = CgroupMetricSource::with_roots(root.path().join("proc"), root.path().join("cgroup"));
        assert!(
            matches!(unlimited.collect().await.unwrap(), SnapshotPart::Cgroup(group) if group.earlier.is_empty())
        );
    }
}
