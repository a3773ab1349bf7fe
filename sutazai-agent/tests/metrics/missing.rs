//! Missing sections: what a machine cannot provide is missing with a reason, and the rest is present.

use std::sync::Arc;

use sutazai_agent::metrics::{
    CgroupMetricSource, DockerMetricSource, PressureMetricSource, SystemMetricSource, all,
};
use sutazai_core::domain::{Section, Snapshot};
use sutazai_core::ports::{MetricSource, SystemClock, collect_snapshot};
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

/// Every file below `/proc` that only its own figure depends on.
#[tokio::test]
async fn unreadable_file_loses_only_its_own_figure() {
    let tree = tempfile::tempdir().unwrap();
    let proc = tree.path().join("proc");
    let needed = ["stat", "meminfo"];
    let others = [
        "loadavg",
        "vmstat",
        "uptime",
        "self/mountinfo",
        "diskstats",
        "net/dev",
        "swaps",
        "sys/kernel/hostname",
    ];
    for file in needed.iter().chain(&others) {
        let copy = proc.join(file);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::write(&copy, std::fs::read(format!("/proc/{file}")).unwrap()).unwrap();
    }
    for file in others {
        let kept = std::fs::read(proc.join(file)).unwrap();
        std::fs::remove_file(proc.join(file)).unwrap();
        let source = SystemMetricSource::with_roots(&proc, tree.path().join("sys"));
        let host = super::host::collect(&source).await;
        assert_eq!(host.swap.in_bytes_per_second.is_none(), file == "vmstat", "{file}");
        assert_eq!(host.memory.oom_kills.is_none(), file == "vmstat", "{file}");
        assert_eq!(host.uptime_seconds.is_none(), file == "uptime", "{file}");
        assert_eq!(host.disks.is_empty(), file == "self/mountinfo", "{file}");
        assert_eq!(host.hostname == "unknown", file == "sys/kernel/hostname", "{file}");
        assert!(host.memory.total_bytes > 0 && host.cpu.cores > 0, "{file}");
        // The kernel tells the load without the file, too.
        assert!(
            host.cpu.load.iter().all(|load| (0.0..100_000.0).contains(load)),
            "{file}: {:?}",
            host.cpu.load
        );
        std::fs::write(proc.join(file), kept).unwrap();
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
