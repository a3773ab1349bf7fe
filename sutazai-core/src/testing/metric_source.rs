//! Conformance suite of the port [`MetricSource`].

use std::sync::Arc;

use crate::domain::SnapshotPart;
use crate::error::ErrorKind;
use crate::ports::MetricSource;

/// Runs every check of the contract for a source that has something to measure here; for others see
/// [`nothing_to_measure_is_unavailable`].
pub async fn run_all<S: MetricSource + ?Sized>(source: Arc<S>) {
    name_is_in_snake_case(source.clone()).await;
    source_contributes_the_same_part(source.clone()).await;
    two_collections_at_once(source).await;
}

/// `name` is in snake case and never changes.
pub async fn name_is_in_snake_case<S: MetricSource + ?Sized>(source: Arc<S>) {
    let name = source.name().to_owned();
    assert!(name.starts_with(|first: char| first.is_ascii_lowercase()), "{name:?}");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name:?}");
    let _ = source.collect().await;
    assert_eq!(source.name(), name);
}

/// A source always contributes the same part of the snapshot.
pub async fn source_contributes_the_same_part<S: MetricSource + ?Sized>(source: Arc<S>) {
    for _ in 0..3 {
        let part = source.collect().await.unwrap();
        assert_eq!(section(&part), source.name());
    }
}

/// A source that has nothing to measure here is `Unavailable` with the reason, never a part full of zeros.
pub async fn nothing_to_measure_is_unavailable<S: MetricSource + ?Sized>(source: Arc<S>) {
    for _ in 0..2 {
        let e = source.collect().await.expect_err("there is nothing to measure, and yet it measured");
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        assert!(e.message().len() > 10, "{e} is no reason");
    }
}

/// Two concurrent collections do not disturb each other.
pub async fn two_collections_at_once<S: MetricSource + ?Sized>(source: Arc<S>) {
    let collections = [(); 4].map(|()| {
        let source = source.clone();
        tokio::spawn(async move { source.collect().await })
    });
    for collection in collections {
        let part = collection.await.unwrap().unwrap();
        assert_eq!(section(&part), source.name());
        if let SnapshotPart::Host(host) = part {
            let cpu = &host.cpu;
            assert!(cpu.interval_seconds > 0.05, "a rate over {} s says nothing", cpu.interval_seconds);
            let shares = [cpu.used_percent, cpu.iowait_percent, cpu.steal_percent];
            let mut shares = shares.iter().flatten().chain(&cpu.per_core_percent);
            assert!(shares.all(|share| (0.0..=100.0).contains(share)));
        }
    }
}

fn section(part: &SnapshotPart) -> &str {
    match part {
        SnapshotPart::Host(_) => "host",
        SnapshotPart::Pressure(_) => "pressure",
        SnapshotPart::Cgroup(_) => "cgroup",
        SnapshotPart::Containers(_) => "containers",
        SnapshotPart::Gpus(_) => "gpus",
        SnapshotPart::Custom(name, _) => name,
    }
}
