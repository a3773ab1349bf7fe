//! Missing sections: what a machine cannot provide is missing with a reason, and the rest is present.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sutazai_agent::metrics::{
    CgroupMetricSource, DockerMetricSource, PressureMetricSource, SystemMetricSource, all,
};
use sutazai_core::adapter::collect_snapshot;
use sutazai_core::domain::{HostMetrics, Section, Snapshot};
use sutazai_core::ports::{MetricSource, SystemClock};
use sutazai_core::testing::metric_source::nothing_to_measure_is_unavailable;

/// Returns the reason of each missing section.
fn reasons(snapshot: &Snapshot) -> Vec<(&'static str, String)> {
    fn of<T>(section: &Section<T>) -> Option<String> {
        match section {
            Section::Present { .. } => None,
            Section::Missing { reason } => Some(reason.clone()),
        }
    }
    let all = [
        ("host", of(&snapshot.host)),
        ("pressure", of(&snapshot.pressure)),
        ("cgroup", of(&snapshot.cgroup)),
        ("containers", of(&snapshot.containers)),
        ("gpus", of(&snapshot.gpus)),
    ];
    all.into_iter().filter_map(|(name, reason)| Some((name, reason?))).collect()
}

#[tokio::test]
async fn bare_machine_states_a_reason_for_every_missing_section() {
    let bare = tempfile::tempdir().unwrap();
    let root = bare.path();
    let sources: Vec<Arc<dyn MetricSource>> = vec![
        Arc::new(SystemMetricSource::with_roots(root, root)),
        Arc::new(PressureMetricSource::with_root(root)),
        Arc::new(CgroupMetricSource::with_roots(root, root)),
        Arc::new(DockerMetricSource::with_host(format!("unix://{}/docker.sock", root.display()))),
    ];
    for source in &sources {
        nothing_to_measure_is_unavailable(source.clone()).await;
    }
    let reasons = reasons(&collect_snapshot(&sources, &SystemClock).await);
    let expected = [
        ("host", format!("{}/stat cannot be read", root.display())),
        ("pressure", "no pressure stall information: ".to_owned()),
        ("cgroup", "no control groups: ".to_owned()),
        ("containers", format!("there is no Docker socket at {}", root.display())),
        ("gpus", "no source for it is registered".to_owned()),
    ];
    assert_eq!(reasons.len(), expected.len(), "{reasons:?}");
    for ((name, reason), (expected_name, start)) in reasons.iter().zip(&expected) {
        assert!(name == expected_name && reason.starts_with(start.as_str()), "{name} is missing: {reason}");
    }
}

/// Files of a machine on which every figure is known. Disks are those of the real machine.
const MACHINE: &[(&str, &str)] = &[
    ("etc/os-release", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
    ("proc/cpuinfo", "processor : 0\nmodel name : AMD EPYC 7B13\n"),
    ("dev/kmsg", "6,1,2,-;oom-kill:constraint=CONSTRAINT_NONE,task=big,pid=7,uid=0\n"),
    ("proc/1/stat", "1 (init) S 0 1 1 0 -1 4194560 100 0 0 0 7 3 0 0 20 0 1 0 900 1000000 250 184\n"),
    ("proc/1/status", "Name: init\nUid: 0 0 0 0\nRssAnon: 100 kB\nRssShmem: 0 kB\n"),
    ("proc/diskstats", "254 0 vda 100 0 1000 50 10 0 100 50 0 500 100\n"),
    ("proc/loadavg", "0.50 0.40 0.30 1/100 4242\n"),
    (
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemAvailable: 250 kB\nSwapTotal: 400 kB\nSwapFree: 300 kB\n\
         HugePages_Total: 1\nHugePages_Free: 1\nHugepagesize: 2048 kB\n",
    ),
    ("proc/net/dev", "  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"),
    ("proc/net/netstat", "TcpExt: ListenOverflows\nTcpExt: 3\n"),
    ("proc/net/snmp", "Tcp: OutSegs RetransSegs\nTcp: 100 7\n"),
    ("proc/net/sockstat", "TCP: inuse 1 orphan 0 tw 10 alloc 1 mem 1\n"),
    ("proc/net/sockstat6", "TCP6: inuse 1\n"),
    ("proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"),
    ("proc/spl/kstat/zfs/arcstats", "size 4 2048\nc_min 4 1024\n"),
    ("proc/stat", "cpu 100 0 100 700 50 0 0 50\ncpu0 100 0 100 700 50 0 0 50\n"),
    ("proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 400 100 -2\n"),
    ("proc/sys/fs/file-nr", "1024 0 99999\n"),
    ("proc/sys/fs/inotify/max_user_instances", "128\n"),
    ("proc/sys/fs/inotify/max_user_watches", "8192\n"),
    ("proc/sys/kernel/hostname", "box\n"),
    ("proc/sys/kernel/osrelease", "6.12.9\n"),
    ("proc/sys/kernel/pid_max", "2\n"),
    ("proc/sys/kernel/threads-max", "2\n"),
    ("proc/sys/net/ipv4/ip_local_port_range", "32768 60999\n"),
    ("proc/sys/net/ipv4/tcp_max_tw_buckets", "10\n"),
    ("proc/sys/net/netfilter/nf_conntrack_count", "10\n"),
    ("proc/sys/net/netfilter/nf_conntrack_max", "10\n"),
    ("proc/uptime", "5000.00 4000.00\n"),
    ("proc/vmstat", "pswpin 10\npswpout 5\noom_kill 3\n"),
    ("sys/block/vda/dev", "254:0\n"),
    ("sys/class/hwmon/hwmon0/name", "cpu\n"),
    ("sys/class/hwmon/hwmon0/temp1_input", "50000\n"),
    ("sys/class/hwmon/hwmon0/temp2_input", "51000\n"),
    ("sys/devices/system/cpu/online", "0\n"),
    ("sys/fs/cgroup/a/memory.events", "oom 1\noom_kill 1\n"),
    ("sys/fs/cgroup/cgroup.controllers", "memory pids\n"),
    ("sys/fs/cgroup/cgroup.procs", ""),
    ("sys/fs/cgroup/a/pids.current", "9\n"),
    ("sys/fs/cgroup/a/pids.max", "10\n"),
];

/// Presence of a file: a kernel without some feature lacks it, and then its absence is no failure.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Always {
    There,
    Optional,
}

/// Each file, and the figures that only it provides.
const FIGURES: &[(&str, Always, &[&str])] = &[
    ("dev/kmsg", Always::There, &["kills.logged"]),
    ("etc/os-release", Always::There, &["system"]),
    ("proc/cpuinfo", Always::There, &["cpu.model"]),
    (
        "proc/1/stat",
        Always::There,
        &[
            "processes",
            "limits[machine_tasks]",
            "limits[user_tasks]",
            "limits[inotify_instances]",
            "limits[inotify_watches]",
        ],
    ),
    ("proc/diskstats", Always::There, &["devices"]),
    // The kernel tells the load, the host name and its release without the files, too.
    ("proc/loadavg", Always::There, &[]),
    ("proc/sys/kernel/hostname", Always::There, &[]),
    ("proc/sys/kernel/osrelease", Always::There, &[]),
    (
        "proc/meminfo",
        Always::There,
        &[
            "memory.total_bytes",
            "memory.used_bytes",
            "memory.available_bytes",
            "memory.used_percent",
            "memory.huge_pages_bytes",
            "memory.huge_pages_free_bytes",
            "swap.total_bytes",
            "swap.used_bytes",
            "swap.used_percent",
        ],
    ),
    ("proc/net/dev", Always::There, &["networks"]),
    ("proc/net/netstat", Always::There, &["tcp.listen_overflows"]),
    ("proc/net/snmp", Always::There, &["tcp.segments_sent", "tcp.retransmitted"]),
    ("proc/net/sockstat", Always::There, &["limits[time_wait_connections]", "limits[ephemeral_ports]"]),
    ("proc/net/sockstat6", Always::Optional, &["limits[ephemeral_ports]"]),
    ("proc/self/mountinfo", Always::There, &["disks", "unanswered_mounts"]),
    (
        "proc/spl/kstat/zfs/arcstats",
        Always::Optional,
        &["memory.available_bytes", "memory.used_bytes", "memory.used_percent"],
    ),
    (
        "proc/stat",
        Always::There,
        &["cpu.used_percent", "cpu.per_core_percent", "cpu.iowait_percent", "cpu.steal_percent"],
    ),
    ("proc/swaps", Always::There, &["swap.in_memory"]),
    ("proc/sys/fs/file-nr", Always::There, &["files"]),
    ("proc/sys/fs/inotify/max_user_instances", Always::There, &["limits[inotify_instances]"]),
    ("proc/sys/fs/inotify/max_user_watches", Always::There, &["limits[inotify_watches]"]),
    ("proc/sys/kernel/pid_max", Always::There, &["limits[machine_tasks]"]),
    ("proc/sys/kernel/threads-max", Always::There, &["limits[machine_tasks]"]),
    ("proc/sys/net/ipv4/ip_local_port_range", Always::There, &["limits[ephemeral_ports]"]),
    ("proc/sys/net/ipv4/tcp_max_tw_buckets", Always::There, &["limits[time_wait_connections]"]),
    ("proc/sys/net/netfilter/nf_conntrack_count", Always::Optional, &["limits[tracked_connections]"]),
    ("proc/sys/net/netfilter/nf_conntrack_max", Always::Optional, &["limits[tracked_connections]"]),
    ("proc/uptime", Always::There, &["uptime_seconds", "processes.top.age_seconds"]),
    (
        "proc/vmstat",
        Always::There,
        &["memory.oom_kills", "swap.in_bytes_per_second", "swap.out_bytes_per_second"],
    ),
    ("sys/block", Always::There, &["devices"]),
    ("sys/class/hwmon/hwmon0/temp1_input", Always::Optional, &["temperatures[cpu temp1]"]),
    ("sys/devices/system/cpu/online", Always::There, &[]),
    ("sys/fs/cgroup/a/memory.events", Always::Optional, &["kills.in_groups"]),
    ("sys/fs/cgroup/a/pids.current", Always::Optional, &["limits[group_tasks:/a]"]),
    ("sys/fs/cgroup/a/pids.max", Always::Optional, &["limits[group_tasks:/a]"]),
    ("sys/fs/cgroup/cgroup.controllers", Always::Optional, &["kills.in_groups"]),
];

/// Measures the machine after a change of its files.
async fn measure(change: impl FnOnce(&Path)) -> HostMetrics {
    let tree = tempfile::tempdir().unwrap();
    for (path, content) in MACHINE {
        let path = tree.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    change(tree.path());
    let source = SystemMetricSource::with_roots(tree.path().join("proc"), tree.path().join("sys"));
    super::host::collect(&source).await
}

/// Collects the paths of all known figures; a list counts as known when it has an element.
fn known(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "missing" && *name != "earlier") {
                known(value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                found.insert(path.to_owned());
                known(element, path, found);
            }
        }
        _ => _ = found.insert(path.to_owned()),
    }
}

fn known_of(host: &HostMetrics) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    known(&serde_json::to_value(host).unwrap(), "host", &mut found);
    found
}

fn missing_of(host: &HostMetrics) -> BTreeSet<String> {
    host.missing.iter().flat_map(|missing| missing.figures.clone()).collect()
}

/// A file in place of a folder and the reverse cannot be read, not even by root.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_file_loses_only_its_own_figure() {
    let whole = measure(|_| ()).await;
    assert_eq!(whole.missing, []);
    let whole = known_of(&whole);
    let hidings = FIGURES.iter().flat_map(|row| [(row, true), (row, false)]);
    let measured = hidings.map(|(row, exists)| {
        let (file, always, _) = *row;
        tokio::spawn(async move {
            let change = |tree: &Path| {
                let path = tree.join(file);
                let is_folder = path.is_dir();
                if is_folder {
                    std::fs::remove_dir_all(&path).unwrap();
                } else {
                    std::fs::remove_file(&path).unwrap();
                }
                match (exists, is_folder) {
                    (true, true) => std::fs::write(&path, "").unwrap(),
                    (true, false) => std::fs::create_dir(&path).unwrap(),
                    (false, _) => {}
                }
            };
            (row, exists, always, measure(change).await)
        })
    });
    for measured in futures::future::join_all(measured).await {
        let ((file, _, figures), exists, always, host) = measured.unwrap();
        let figures: BTreeSet<String> = figures.iter().map(|figure| format!("host.{figure}")).collect();
        let case = format!("{file} {}", if exists { "is unreadable" } else { "does not exist" });
        let is_failure = exists || always == Always::There;
        let expected = if is_failure { figures.clone() } else { BTreeSet::new() };
        assert_eq!(missing_of(&host), expected, "{case}");
        for missing in &host.missing {
            let name = file.rsplit('/').next().unwrap_or_default();
            // The processes are those of a folder, in which none is left.
            let told = missing.reason.contains(name) || *file == "proc/1/stat";
            assert!(told, "{case}: {}", missing.reason);
        }
        let now = known_of(&host);
        let lost: BTreeSet<&String> = whole.difference(&now).collect();
        for path in &lost {
            let is_own = figures.iter().any(|figure| {
                let group = figure.split('[').next().unwrap_or_default();
                path.starts_with(group)
            });
            assert!(is_own, "{case}: {path} is lost");
        }
        if is_failure {
            for figure in figures.iter().filter(|figure| !figure.contains('[')) {
                assert!(!now.iter().any(|path| path.starts_with(figure.as_str())), "{case}: {figure}");
            }
        }
    }
}

#[tokio::test]
async fn missing_section_does_not_affect_the_others() {
    let bare = tempfile::tempdir().unwrap();
    let mut sources = all();
    sources.retain(|source| source.name() == "host");
    sources.push(Arc::new(PressureMetricSource::with_root(bare.path())));
    let snapshot = collect_snapshot(&sources, &SystemClock).await;
    assert!(snapshot.host.value().is_some(), "{:?}", snapshot.host);
    let missing: Vec<&str> = reasons(&snapshot).into_iter().map(|(name, _)| name).collect();
    assert_eq!(missing, ["pressure", "cgroup", "containers", "gpus"]);
}
