//! What is not to be had on a machine is missing in the snapshot, with its reason, and the rest is there.

use std::sync::Arc;

use sutazai_agent::metrics::{
    CgroupMetricSource, DockerMetricSource, PressureMetricSource, SystemMetricSource, all,
};
use sutazai_core::domain::{Section, Snapshot};
use sutazai_core::ports::{MetricSource, SystemClock, collect_snapshot};
use sutazai_core::testing::metric_source::nothing_to_measure_is_unavailable;

/// The reason of each section that is missing.
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
async fn on_a_bare_machine_every_section_says_why_it_is_missing() {
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

#[tokio::test]
async fn one_missing_section_leaves_the_others_there() {
    let bare = tempfile::tempdir().unwrap();
    let mut sources = all();
    sources.retain(|source| source.name() == "host");
    sources.push(Arc::new(PressureMetricSource::with_root(bare.path())));
    let snapshot = collect_snapshot(&sources, &SystemClock).await;
    assert!(snapshot.host.value().is_some(), "{:?}", snapshot.host);
    let missing: Vec<&str> = reasons(&snapshot).into_iter().map(|(name, _)| name).collect();
    assert_eq!(missing, ["pressure", "cgroup", "containers", "gpus"]);
}
