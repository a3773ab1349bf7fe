//! Machines with one fault each: for every rule one that makes it fire.

use chrono::TimeDelta;
use sutazai_core::domain::{
    ClockMetrics, ContainerInfo, DeletedFiles, FileMetrics, HostMetrics, KernelLimit, KillInfo, LOCAL_HOST,
    MetricSample, ProcessInfo, Snapshot, UnansweredMount,
};
use sutazai_core::memory::MemoryMetricStore;
use sutazai_core::ports::MetricStore;

use super::super::rules::sample::{
    cgroup, containers, gpus, healthy, host, limit, pressure, read_before, read_containers_before,
};
use super::super::rules::{self, RULES, Trends};
use super::{full_container, full_disk, full_memory};

const GIB: f64 = 1_073_741_824.0;
const MIB: f64 = 1_048_576.0;

/// Interval between the samples of a series.
const SAMPLE_INTERVAL: TimeDelta = TimeDelta::minutes(5);

/// Snapshot together with the history before it.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) snapshot: Snapshot,
    pub(super) history: Vec<MetricSample>,
}

impl Machine {
    /// Returns a metric store with the history.
    pub(super) async fn store(&self) -> MemoryMetricStore {
        let store = MemoryMetricStore::new();
        store.append(&self.history).await.unwrap();
        store
    }

    pub(super) async fn trends(&self) -> Trends {
        Trends::read(Some(&self.store().await), LOCAL_HOST, &self.snapshot).await
    }
}

/// Returns the machine that makes the rule of this name fire. No other rule fires, except `headroom` together with a
/// finding that is not a warning.
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

/// Returns a series of 20 samples that rises in equal steps until the snapshot is taken.
fn rising(snapshot: &Snapshot, series: &str, first: f64, step: f64) -> Vec<MetricSample> {
    let at = |index: i32| snapshot.taken_at - SAMPLE_INTERVAL * (20 - index);
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
            read_containers_before(&mut snapshot, "containers[web].cpu_percent", [97.0; 2]);
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
        "container_oom_killed" => {
            (container.state, container.oom_killed) = ("exited".into(), Some(true));
            container.finished_seconds_ago = Some(600);
        }
        "container_restarting" => (container.restarts, container.started_seconds_ago) = (Some(7), Some(600)),
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
        // After a day without kills, earlier ones are no warning.
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
            read_before(host, "host.swap.in_bytes_per_second", [20.0 * MIB; 2]);
            read_before(host, "host.swap.out_bytes_per_second", [5.0 * MIB; 2]);
        }
        "swap_full" => host.swap.used_percent = Some(90.0),
        "no_swap" => (host.swap.total_bytes, host.memory.used_percent) = (Some(0), Some(80.0)),
        "cpu_saturation" => (host.cpu.used_percent, host.cpu.load) = (Some(97.4), Some([14.2, 0.5, 0.4])),
        "high_load" => host.cpu.load = Some([0.4, 9.5, 0.4]),
        "steal" => {
            host.cpu.steal_percent = Some(17.5);
            read_before(host, "host.cpu.steal_percent", [17.5, 17.5]);
        }
        "iowait" => {
            host.cpu.iowait_percent = Some(33.3);
            read_before(host, "host.cpu.iowait_percent", [33.3, 33.3]);
        }
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
        "disk_slow" => {
            host.devices[0].latency_ms = Some(240.0);
            read_before(host, "host.devices[vda].latency_ms", [240.0; 2]);
            read_before(host, "host.devices[vda].operations_per_second", [50.0; 2]);
        }
        "zombies" => {
            let processes = host.processes.as_mut().unwrap();
            (processes.zombies, processes.lasting_zombies) = (Some(150), Some(150));
        }
        "blocked_processes" => {
            host.processes.as_mut().unwrap().blocked = Some(12);
            read_before(host, "host.processes.blocked", [12.0; 2]);
        }
        "open_files_machine" => host.files = Some(FileMetrics { open: 900_000, limit: 1_000_000 }),
        "network_errors" => spoil_network(host, "errors"),
        "network_drops" => spoil_network(host, "drops"),
        "network_link_changes" => {
            host.networks[0].carrier_changes = Some(14);
            read_before(host, "host.networks[eth0].carrier_changes", [2.0, 8.0]);
        }
        "tcp_retransmissions" => spoil_tcp(host, "retransmitted", 900 + 200),
        "listen_overflows" => spoil_tcp(host, "listen_overflows", 3 + 40),
        "listen_queue_full" => {
            host.limits = vec![limit(KernelLimit::ListenQueue, Some("8080"), 129, 128)];
            read_before(host, "host.limits[listen_queue:8080].used", [129.0, 129.0]);
        }
        "local_ports_near_limit" => {
            host.limits = vec![limit(KernelLimit::EphemeralPorts, Some("192.0.2.1:443"), 27_000, 28_232)];
        }
        "time_wait_near_limit" => {
            host.limits = vec![limit(KernelLimit::TimeWaitConnections, None, 14_000, 16_384)];
        }
        "connection_tracking_near_limit" => {
            host.limits = vec![limit(KernelLimit::TrackedConnections, None, 200_000, 262_144)];
        }
        "machine_tasks_near_limit" => {
            host.limits = vec![limit(KernelLimit::MachineTasks, None, 30_000, 32_768)];
        }
        "user_tasks_near_limit" => {
            host.limits = vec![limit(KernelLimit::UserTasks, Some("1000"), 900, 1024)];
        }
        "group_tasks_near_limit" => {
            let group = Some("/system.slice/web.service");
            host.limits = vec![limit(KernelLimit::GroupTasks, group, 450, 512)];
        }
        "inotify_near_limit" => {
            host.limits = vec![limit(KernelLimit::InotifyInstances, Some("1000"), 120, 128)];
        }
        "high_temperature" => host.temperatures[0].celsius = 93.0,
        "clock_unsynchronized" => {
            host.clock = Some(ClockMetrics { synchronized: false, max_error_ms: 16_000.0, service: None });
        }
        "clock_skew" => {
            host.clock = Some(ClockMetrics { synchronized: true, max_error_ms: 9000.0, service: None });
        }
        "process_hogs_memory" => {
            host.memory.used_percent = Some(70.0);
            host.processes.as_mut().unwrap().top[0].memory_bytes = 9 << 30;
        }
        "process_hogs_cpu" => {
            host.processes.as_mut().unwrap().top[0].cpu_percent = 300.0;
            read_before(host, "host.processes[postgres:812].cpu_percent", [300.0; 2]);
        }
        "process_grows" => host.processes.as_mut().unwrap().top[1].memory_bytes = 290 << 20,
        "open_files_process" => spoil_files(&mut host.processes.as_mut().unwrap().top[0]),
        rule => panic!("no machine for {rule}"),
    }
}

/// Adds a million packets within two seconds, half in each, some of them faulty.
fn spoil_network(host: &mut HostMetrics, figure: &str) {
    let network = &mut host.networks[0];
    (network.errors, network.drops) = if figure == "errors" { (50_000, Some(0)) } else { (0, Some(50_000)) };
    for one in ["errors", "drops", "queue_drops"] {
        let half = if one == figure { 25_000.0 } else { 0.0 };
        read_before(host, format!("host.networks[eth0].{one}"), [0.0, half]);
    }
    read_before(host, "host.networks[eth0].packets", [0.0, 500_000.0]);
}

/// Adds four hundred segments within two seconds, and a counter that rose by forty to `now`.
fn spoil_tcp(host: &mut HostMetrics, figure: &str, now: u64) {
    let Some(tcp) = &mut host.tcp else { return };
    let (sent, before) = (tcp.segments_sent.unwrap() as f64, now as f64);
    match figure {
        "retransmitted" => tcp.retransmitted = Some(now),
        _ => tcp.listen_overflows = Some(now),
    }
    let (again, overflows) = (tcp.retransmitted.unwrap() as f64, tcp.listen_overflows.unwrap_or(0) as f64);
    let rising =
        |of: &str, value: f64| if of == figure { [before - 40.0, before - 20.0] } else { [value; 2] };
    let (again, overflows) = (rising("retransmitted", again), rising("listen_overflows", overflows));
    read_before(host, "host.tcp.segments_sent", [sent - 400.0, sent - 200.0]);
    read_before(host, "host.tcp.retransmitted", again);
    read_before(host, "host.tcp.listen_overflows", overflows);
}

fn spoil_files(process: &mut ProcessInfo) {
    (process.open_files, process.open_files_limit) = (Some(950), Some(1024));
}

#[tokio::test]
async fn each_machine_has_only_the_finding_of_its_rule() {
    for rule in RULES {
        let machine = machine(rule.name);
        let found = rules::find(&machine.snapshot, &machine.trends().await);
        let names: Vec<&str> = found.iter().map(|found| found.finding.rule.as_str()).collect();
        let expected = names == [rule.name] || names == [rule.name, "headroom"];
        assert!(expected, "{}: {names:?}", rule.name);
    }
}
