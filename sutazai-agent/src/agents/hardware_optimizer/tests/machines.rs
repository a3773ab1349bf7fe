//! Machines with one fault each: for every rule one on which that rule fires.

use chrono::TimeDelta;
use sutazai_core::domain::{
    ClockMetrics, ContainerInfo, DeletedFiles, FileMetrics, HostMetrics, KillInfo, LOCAL_HOST, MetricSample,
    ProcessInfo, Snapshot, UnansweredMount,
};
use sutazai_core::memory::MemoryMetricStore;
use sutazai_core::ports::MetricStore;

use super::super::rules::sample::{cgroup, containers, gpus, healthy, host, pressure};
use super::super::rules::{self, RULES, Trends};
use super::{full_container, full_disk, full_memory};

const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

/// Interval of the samples of a series.
const STEP: TimeDelta = TimeDelta::minutes(5);

/// A snapshot and the history before it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) snapshot: Snapshot,
    pub(super) history: Vec<MetricSample>,
}

impl Machine {
    /// The history in a metric store.
    pub(super) async fn store(&self) -> MemoryMetricStore {
        let store = MemoryMetricStore::new();
        store.append(&self.history).await.unwrap();
        store
    }

    pub(super) async fn trends(&self) -> Trends {
        Trends::read(Some(&self.store().await), LOCAL_HOST, &self.snapshot).await
    }
}

/// The machine on which the rule of this name fires; no other rule does, except `headroom` beside a finding that is no
/// warning.
pub(super) fn machine(rule: &str) -> Machine {
    let snapshot = snapshot(rule);
    let history = match rule {
        "disk_trend_full" => rising(&snapshot, "host.disks[/].used_bytes", 67.0 * GIB, GIB / 6.0),
        "process_grows" => {
            rising(&snapshot, "host.processes[nginx:901].memory_bytes", 100.0 * MIB, 10.0 * MIB)
        }
        _ => Vec::new(),
    };
    Machine { snapshot, history }
}

/// A series of 20 samples that rises in equal steps until the snapshot is taken.
fn rising(snapshot: &Snapshot, series: &str, first: f64, step: f64) -> Vec<MetricSample> {
    let at = |index: i32| snapshot.taken_at - STEP * (20 - index);
    let sample = |index| MetricSample {
        host: LOCAL_HOST.to_owned(),
        series: series.to_owned(),
        at: at(index),
        value: first + step * f64::from(index),
    };
    (0..20).map(sample).collect()
}

fn snapshot(rule: &str) -> Snapshot {
    match rule {
        "memory_low" => return full_memory(),
        "disk_space" => return full_disk(),
        "container_near_limit" => return full_container("web"),
        _ => {}
    }
    let mut snapshot = healthy();
    match rule {
        "memory_pressure" | "cpu_pressure" | "io_pressure" => stall(&mut snapshot, rule),
        "cgroup_memory_near_limit" | "cgroup_oom_kills" | "cpu_throttled" | "pids_near_limit" => {
            restrict(&mut snapshot, rule);
        }
        "gpu_temperature" => gpus(&mut snapshot)[0].celsius = Some(86.0),
        "gpu_memory" => gpus(&mut snapshot)[0].memory_used_bytes = Some((23.6 * GIB) as u64),
        "headroom" => {}
        container if container.starts_with("container_") => {
            spoil_container(&mut containers(&mut snapshot)[0], container);
        }
        rule => spoil(host(&mut snapshot), rule),
    }
    snapshot
}

fn stall(snapshot: &mut Snapshot, rule: &str) {
    let pressure = pressure(snapshot);
    match rule {
        "memory_pressure" => pressure.memory.some_avg60 = 22.5,
        "cpu_pressure" => pressure.cpu.some_avg60 = 45.0,
        _ => pressure.io.some_avg60 = 40.5,
    }
}

fn restrict(snapshot: &mut Snapshot, rule: &str) {
    let group = cgroup(snapshot);
    match rule {
        "cgroup_memory_near_limit" => group.memory_used_bytes = Some((1.8 * GIB) as u64),
        "cgroup_oom_kills" => group.oom_kills = Some(2),
        "cpu_throttled" => group.throttled_periods = Some(2000),
        _ => group.pids = Some(900),
    }
}

fn spoil_container(container: &mut ContainerInfo, rule: &str) {
    match rule {
        "container_oom_killed" => (container.state, container.oom_killed) = ("exited".into(), true),
        "container_restarting" => container.restarts = 7,
        "container_unhealthy" => container.health = Some("unhealthy".into()),
        "container_pids_near_limit" => container.pids = Some(470),
        "container_cpu_near_limit" => container.cpu_percent = Some(97.0),
        "container_no_limit" => {
            (container.memory_limit_bytes, container.memory_used_percent) = (None, None);
            container.memory_used_bytes = Some(5 << 30);
        }
        "container_exited" => (container.state, container.exit_code) = ("exited".into(), Some(1)),
        rule => panic!("no machine for {rule}"),
    }
}

fn spoil(host: &mut HostMetrics, rule: &str) {
    match rule {
        // After a day without kills those of an earlier one are no warning.
        "oom_kills" => (host.memory.oom_kills, host.uptime_seconds) = (Some(3), Some(40_000)),
        "group_oom_kills" => {
            let (process, group) = ("python".to_owned(), Some("/docker/abc".to_owned()));
            host.kills.logged = Some(vec![KillInfo { seconds_ago: 60, pid: 7, process, group }]);
        }
        "huge_pages_unused" => {
            (host.memory.huge_pages_bytes, host.memory.huge_pages_free_bytes) =
                (Some(6 << 30), Some(5 << 30));
        }
        "tmpfs_space" => {
            let disk = &mut host.disks[0];
            (disk.mount, disk.filesystem, disk.used_percent) = ("/dev/shm".into(), "tmpfs".into(), 97.0);
        }
        "deleted_files" => {
            let process = "nginx".to_owned();
            let deleted =
                DeletedFiles { bytes: 30 << 30, files: 2, pid: 901, process, process_bytes: 20 << 30 };
            host.disks[0].deleted_files = Some(deleted);
        }
        "mount_unanswered" => host.unanswered_mounts.push(UnansweredMount {
            mount: "/mnt/share".into(),
            device: "/dev/fuse".into(),
            filesystem: "fuse.sshfs".into(),
            waited_seconds: 1.0,
        }),
        "swap_traffic" => {
            host.swap.in_bytes_per_second = Some(20.0 * MIB);
            host.swap.out_bytes_per_second = Some(5.0 * MIB);
        }
        "swap_full" => host.swap.used_percent = 90.0,
        "no_swap" => (host.swap.total_bytes, host.memory.used_percent) = (0, 80.0),
        "cpu_saturation" => (host.cpu.used_percent, host.cpu.load[0]) = (97.4, 14.2),
        "high_load" => host.cpu.load[1] = 9.5,
        "steal" => host.cpu.steal_percent = 17.5,
        "iowait" => host.cpu.iowait_percent = 33.3,
        "disk_trend_full" => {
            let disk = &mut host.disks[0];
            (disk.used_percent, disk.used_bytes, disk.available_bytes) = (70.0, 70 << 30, 30 << 30);
        }
        "inodes" => host.disks[0].inodes_used_percent = Some(97.0),
        "disk_read_only" => {
            let mut disk = host.disks[0].clone();
            (disk.mount, disk.read_only) = ("/var".into(), true);
            host.disks.push(disk);
        }
        "disk_slow" => host.devices[0].latency_ms = Some(240.0),
        "zombies" => host.processes.zombies = 150,
        "blocked_processes" => host.processes.blocked = 12,
        "open_files_machine" => host.files = Some(FileMetrics { open: 900_000, limit: 1_000_000 }),
        "network_errors" => host.networks[0].errors = 20_000,
        "network_drops" => host.networks[0].drops = 50_000,
        "high_temperature" => host.temperatures[0].celsius = 93.0,
        "clock_unsynchronized" => {
            host.clock = Some(ClockMetrics { synchronized: false, max_error_ms: 16_000.0, service: None });
        }
        "clock_skew" => {
            host.clock = Some(ClockMetrics { synchronized: true, max_error_ms: 9000.0, service: None });
        }
        "process_hogs_memory" => {
            host.memory.used_percent = 70.0;
            host.processes.top[0].memory_bytes = 9 << 30;
        }
        "process_hogs_cpu" => host.processes.top[0].cpu_percent = 300.0,
        "process_grows" => host.processes.top[1].memory_bytes = 290 << 20,
        "open_files_process" => spoil_files(&mut host.processes.top[0]),
        rule => panic!("no machine for {rule}"),
    }
}

fn spoil_files(process: &mut ProcessInfo) {
    (process.open_files, process.open_files_limit) = (Some(950), Some(1024));
}

#[tokio::test]
async fn each_machine_has_the_one_finding_of_its_rule() {
    for rule in RULES {
        let machine = machine(rule.name);
        let found = rules::find(&machine.snapshot, &machine.trends().await);
        let names: Vec<&str> = found.iter().map(|found| found.finding.rule.as_str()).collect();
        let expected = names == [rule.name] || names == [rule.name, "headroom"];
        assert!(expected, "{}: {names:?}", rule.name);
    }
}
