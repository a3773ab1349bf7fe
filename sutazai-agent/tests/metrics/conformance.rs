//! Every source against the suite of its port, over what this machine really has. The source of containers gets an
//! engine of its own, the source of control groups those of a container.

use std::sync::Arc;

use sutazai_agent::metrics::{
    CgroupMetricSource, DockerMetricSource, PressureMetricSource, SystemMetricSource, all,
};
use sutazai_core::testing::metric_source::{self, nothing_to_measure_is_unavailable};

use super::engine::Engine;

#[test]
fn every_source_is_listed_here() {
    let names: Vec<String> = all().iter().map(|source| source.name().to_owned()).collect();
    let mut listed = vec!["host", "pressure", "cgroup", "containers"];
    if cfg!(feature = "gpu") {
        listed.push("gpus");
    }
    assert_eq!(names, listed, "a new source needs its line below");
}

#[tokio::test]
async fn the_system_source_conforms() {
    metric_source::run_all(Arc::new(SystemMetricSource::new())).await;
}

/// A kernel may be built without it; then this must be said.
#[tokio::test]
async fn the_pressure_source_conforms() {
    let source = Arc::new(PressureMetricSource::new());
    if std::fs::read_to_string("/proc/pressure/cpu").is_ok() {
        metric_source::run_all(source).await;
    } else {
        nothing_to_measure_is_unavailable(source).await;
    }
}

#[tokio::test]
async fn the_cgroup_source_conforms() {
    metric_source::run_all(Arc::new(CgroupMetricSource::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docker_source_conforms() {
    let _machine = super::MACHINE.read().await;
    let engine = Engine::start();
    engine.import("load", &[]);
    engine.run("burning", &["--cpus", "0.2"], "load", &["burn"]);
    metric_source::run_all(Arc::new(DockerMetricSource::with_host(engine.host()))).await;
}

/// Where there is a driver there is its library; else its absence must be said.
#[cfg(feature = "gpu")]
#[tokio::test]
async fn the_gpu_source_conforms() {
    use sutazai_core::ports::MetricSource;
    let source = Arc::new(sutazai_agent::metrics::GpuMetricSource::new());
    if std::path::Path::new("/proc/driver/nvidia/version").exists() {
        metric_source::run_all(source).await;
    } else {
        nothing_to_measure_is_unavailable(source.clone()).await;
        let reason = source.collect().await.unwrap_err();
        assert!(reason.message().contains("NVIDIA driver"), "{reason}");
    }
}
