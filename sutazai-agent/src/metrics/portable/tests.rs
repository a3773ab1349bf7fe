//! Comparison of the portable figures with those of the Linux readers.

use std::collections::BTreeSet;

use super::super::system::SystemMetricSource;
use super::*;

async fn measure(source: &dyn MetricSource) -> HostMetrics {
    match source.collect().await.unwrap() {
        SnapshotPart::Host(host) => *host,
        other => panic!("{other:?}"),
    }
}

/// Asserts that two sizes differ by less than this share of the larger.
fn assert_near(one: u64, other: u64, share: f64, what: &str) {
    let larger = one.max(other) as f64;
    assert!(one.abs_diff(other) as f64 <= larger * share, "{what}: {one} and {other}");
}

#[tokio::test]
async fn figures_agree_with_those_of_the_linux_readers() {
    let (ours, theirs) = (SystemMetricSource::new(), PortableMetricSource::new());
    let (ours, theirs) = (measure(&ours).await, measure(&theirs).await);
    assert_eq!((&ours.hostname, &ours.kernel), (&theirs.hostname, &theirs.kernel));
    assert_eq!(ours.cpu.cores, theirs.cpu.cores);
    assert_eq!(ours.cpu.per_core_percent.len(), theirs.cpu.per_core_percent.len());
    assert!((0.0..=100.0).contains(&theirs.cpu.used_percent.unwrap()), "{:?}", theirs.cpu);
    assert_eq!(ours.memory.total_bytes, theirs.memory.total_bytes);
    let available = |host: &HostMetrics| host.memory.available_bytes.unwrap();
    assert_near(available(&ours), available(&theirs), 0.2, "available memory");
    assert_eq!(ours.swap.total_bytes, theirs.swap.total_bytes);
    let uptime = |host: &HostMetrics| host.uptime_seconds.unwrap();
    assert!(uptime(&ours).abs_diff(uptime(&theirs)) < 60, "{} {}", uptime(&ours), uptime(&theirs));
    let count = |host: &HostMetrics| host.processes.as_ref().unwrap().count.into();
    assert_near(count(&ours), count(&theirs), 0.5, "processes");
    let interfaces =
        |host: &HostMetrics| host.networks.iter().map(|one| one.interface.clone()).collect::<Vec<_>>();
    assert_eq!(interfaces(&ours), interfaces(&theirs));
}

#[tokio::test]
async fn disks_agree_with_those_of_the_linux_readers() {
    let (ours, theirs) = (SystemMetricSource::new(), PortableMetricSource::new());
    let (ours, theirs) = (measure(&ours).await, measure(&theirs).await);
    let both: Vec<_> = ours
        .disks
        .iter()
        .filter_map(|one| Some((one, theirs.disks.iter().find(|other| other.mount == one.mount)?)))
        .collect();
    assert!(!both.is_empty(), "{:?} and {:?}", ours.disks, theirs.disks);
    for (one, other) in both {
        assert_eq!(
            (&one.filesystem, one.total_bytes),
            (&other.filesystem, other.total_bytes),
            "{}",
            one.mount
        );
        assert_near(one.available_bytes, other.available_bytes, 0.1, &one.mount);
    }
}

#[tokio::test]
async fn own_process_is_listed_while_it_works() {
    let source = PortableMetricSource::new();
    measure(&source).await;
    // Beyond the shortest interval of a rate, of which some is work.
    let until = Instant::now() + 2 * FIRST_INTERVAL;
    let work = std::thread::spawn(move || while Instant::now() < until {});
    work.join().unwrap();
    let host = measure(&source).await;
    let top = host.processes.unwrap().top;
    let me = top.iter().find(|process| process.pid == std::process::id());
    let me = me.unwrap_or_else(|| panic!("{top:?}"));
    assert!(me.cpu_percent > 0.0 && me.memory_bytes > 1 << 20, "{me:?}");
    assert!(me.open_files.is_some_and(|files| files > 3), "{me:?}");
    assert!(top.is_sorted_by_key(|process| std::cmp::Reverse(process.memory_bytes)));
    assert!((1..=TOP).contains(&top.len()));
}

/// Adds the metric paths of all values that are null or an empty list, without indices.
fn absent(path: &str, value: &serde_json::Value, all: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Null => drop(all.insert(path.to_owned())),
        serde_json::Value::Array(values) if values.is_empty() => drop(all.insert(path.to_owned())),
        serde_json::Value::Array(values) => values.iter().for_each(|one| absent(path, one, all)),
        serde_json::Value::Object(fields) => {
            fields.iter().for_each(|(name, one)| absent(&format!("{path}.{name}"), one, all));
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_absent_figure_is_missing_with_a_reason() {
    let host = measure(&PortableMetricSource::new()).await;
    let missing: Vec<&str> = host.missing.iter().flat_map(|one| &one.figures).map(String::as_str).collect();
    let mut absent_figures = BTreeSet::new();
    absent("host", &serde_json::to_value(&host).unwrap(), &mut absent_figures);
    // Empty where this machine has none of them, and values that are optional on every system.
    let may_be_empty = ["host.earlier", "host.missing", "host.disks", "host.networks", "host.temperatures"];
    let may_be_none = ["host.processes.zombie_parents", "host.temperatures.critical_celsius"];
    for figure in &absent_figures {
        let named = missing.iter().any(|one| figure == one || figure.starts_with(&format!("{one}.")));
        let allowed = [&may_be_empty[..], &may_be_none].concat().contains(&figure.as_str());
        assert!(named || allowed, "{figure} is absent without a reason: {missing:?}");
    }
    for figure in ["host.networks.drops", "host.cpu.iowait_percent", "host.devices", "host.disks.failed"] {
        assert!(absent_figures.contains(figure), "{figure} is measured: {absent_figures:?}");
    }
    assert!(host.cpu.load.is_some() && host.processes.unwrap().blocked.is_some());
}
