//! Section `cgroup` compared with `/sys/fs/cgroup`: the group of this process, and the group of a container with known
//! limits. Recorded trees of both versions are tested in addition to the source itself.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sutazai_agent::metrics::CgroupMetricSource;
use sutazai_core::domain::{CgroupMetrics, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};

use super::engine::Engine;

const ROOT: &str = "/sys/fs/cgroup";

async fn collect(source: &CgroupMetricSource) -> CgroupMetrics {
    match source.collect().await.unwrap() {
        SnapshotPart::Cgroup(group) => group,
        other => panic!("{other:?} is not the section `cgroup`"),
    }
}

fn is_version_2() -> bool {
    let controllers = fs::read_to_string(Path::new(ROOT).join("cgroup.controllers"));
    controllers.is_ok_and(|controllers| !controllers.trim().is_empty())
}

/// Returns the folder of a process's control group; with version 2 it is the same for every controller.
pub(crate) fn of_process(pid: u32, controller: &str) -> PathBuf {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path_of = |wanted: &str| {
        let mut lines = groups.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
        lines.find(|line| line[1].split(',').any(|name| name == wanted)).map(|line| line[2].to_owned())
    };
    let path = if is_version_2() {
        format!("{ROOT}{}", path_of("").unwrap())
    } else {
        format!("{ROOT}/{controller}{}", path_of(controller).unwrap())
    };
    assert!(Path::new(&path).is_dir(), "{path} is no folder");
    path.into()
}

/// Returns the memory in use without the page cache that can be dropped.
pub(crate) fn memory_in_use(group: &Path) -> u64 {
    let (usage, dropped) = if is_version_2() {
        ("memory.current", "inactive_file ")
    } else {
        ("memory.usage_in_bytes", "total_inactive_file ")
    };
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap();
    let dropped = stat.lines().find_map(|line| line.strip_prefix(dropped)).unwrap();
    file(group, usage).unwrap() - dropped.parse::<u64>().unwrap()
}

/// Waits until a process's group uses at least `mib` MiB, and returns its folder.
pub(crate) async fn grown(pid: u32, mib: u64) -> PathBuf {
    let group = of_process(pid, "memory");
    for _ in 0..100 {
        if memory_in_use(&group) >= mib << 20 {
            return group;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }
    panic!("{} uses only {} bytes", group.display(), memory_in_use(&group));
}

/// Reads the number in a file; `None` if the file is missing or has no limit.
fn file(group: &Path, name: &str) -> Option<u64> {
    fs::read_to_string(group.join(name)).ok()?.trim().parse().ok()
}

#[tokio::test]
async fn group_of_this_process_matches_the_kernel() {
    let ours = collect(&CgroupMetricSource::new()).await;
    let me = std::process::id();
    assert_eq!(ours.version, if is_version_2() { 2 } else { 1 });
    let limit_file = if is_version_2() { "memory.max" } else { "memory.limit_in_bytes" };
    let group = of_process(me, "memory");
    let up = || group.ancestors().take_while(|folder| folder.starts_with(ROOT));
    let limits = up().filter_map(|folder| file(folder, limit_file)).filter(|limit| *limit < 1 << 60);
    assert_eq!(ours.memory_limit_bytes, limits.min());
    if ours.memory_limit_bytes.is_none() && file(&group, "memory.usage_in_bytes").is_some() {
        let (used, theirs) = (ours.memory_used_bytes.unwrap() as f64, memory_in_use(&group) as f64);
        // Builds and tests in the same group start and end between the two readings.
        assert!((used - theirs).abs() <= theirs * 0.1, "ours {used}, theirs {theirs}");
    }
    let shown = fs::read_to_string("/proc/self/cgroup").unwrap();
    assert!(
        shown.lines().any(|line| line.ends_with(&format!(":{}", ours.path))),
        "{} is not in {shown}",
        ours.path
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn group_of_a_container_has_its_limits() {
    let _machine = super::MACHINE.read().await;
    let engine = Engine::start();
    engine.import("load", &[]);
    let limits = ["--memory", "64m", "--memory-swap", "64m", "--cpus", "0.25", "--pids-limit", "40"];
    engine.run("bounded", &limits, "load", &["eat", "30"]);
    let pid = engine.pid("bounded");
    let group = grown(pid, 30).await;
    // Paths as a source inside the container sees them, where it runs as this process.
    let proc = tempfile::tempdir().unwrap();
    symlink(format!("/proc/{pid}"), proc.path().join("self")).unwrap();
    let source = CgroupMetricSource::with_roots(proc.path(), ROOT);

    let before = collect(&source).await;
    assert_eq!(before.cpu_limit_cores, Some(0.25));
    assert_eq!(before.memory_limit_bytes, Some(64 << 20));
    assert_eq!((before.pids_limit, before.pids), (Some(40), Some(1)));
    assert_eq!(before.oom_kills, Some(0));
    let (ours, theirs) = (before.memory_used_bytes.unwrap() as f64, memory_in_use(&group) as f64);
    assert!((ours - theirs).abs() <= theirs * 0.02, "ours {ours}, theirs {theirs}");
    assert!((30.0..34.0).contains(&(ours / f64::from(1 << 20))), "30 MiB are eaten: {ours}");
    println!("memory: ours {ours}, theirs {theirs}");

    // A second program in the container needs more memory than allowed, and a third uses a whole processor.
    let eating = Command::new("docker")
        .args(["--host", &engine.host(), "exec", "bounded", "/load", "eat", "200"])
        .status()
        .unwrap();
    assert_eq!(eating.code(), Some(137), "it was not killed");
    engine.docker(&["exec", "--detach", "bounded", "/load", "burn"]);
    SystemClock.sleep(Duration::from_secs(2)).await;
    let after = collect(&source).await;
    assert_eq!(after.oom_kills, Some(1));
    let group = of_process(pid, "cpu");
    let stat = fs::read_to_string(group.join("cpu.stat")).unwrap();
    let theirs = |key: &str| {
        let line = stat.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let (periods, throttled) = (after.periods.unwrap(), after.throttled_periods.unwrap());
    assert!(
        (5..=theirs("nr_periods ")).contains(&throttled),
        "a quarter of a processor, and one burns: {after:?}"
    );
    // A period has 100 ms, and the kernel's file was read a little later.
    assert!(
        theirs("nr_periods ") - periods <= 5 && theirs("nr_throttled ") - throttled <= 5,
        "{after:?}: {stat}"
    );
    assert!(after.pids.unwrap() >= 2, "{after:?}");
}
