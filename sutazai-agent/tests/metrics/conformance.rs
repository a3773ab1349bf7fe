//! Conformance of every metric source to its port, on the real machine. The container source gets an engine of its own,
//! the control group source the groups of a container.

use std::sync::Arc;

use sutazai_agent::metrics::{
    CgroupMetricSource, DockerMetricSource, PortableMetricSource, PressureMetricSource, SystemMetricSource,
    all,
};
use sutazai_core::testing::metric_source::{self, nothing_to_measure_is_unavailable};

use super::engine::Engine;

#[test]
fn every_source_is_listed_here() {
    let names: Vec<String> = all().iter().map(|source| source.name().to_owned()).collect();
    let mut listed = vec!["host", "pressure", "cgroup", "containers"];
    if cfg!(feature = "gpu-metrics") {
        listed.push("gpus");
    }
    assert_eq!(names, listed, "a new source needs its line below");
}

#[tokio::test]
async fn system_source_conforms() {
    metric_source::run_all(Arc::new(SystemMetricSource::new())).await;
}

/// Other systems have it in place of the system source.
#[tokio::test]
async fn portable_source_conforms() {
    metric_source::run_all(Arc::new(PortableMetricSource::new())).await;
}

/// A kernel may be built without pressure stall information; then the section must state that.
#[tokio::test]
async fn pressure_source_conforms() {
    let source = Arc::new(PressureMetricSource::new());
    if std::fs::read_to_string("/proc/pressure/cpu").is_ok() {
        metric_source::run_all(source).await;
    } else {
        nothing_to_measure_is_unavailable(source).await;
    }
}

#[tokio::test]
async fn cgroup_source_conforms() {
    metric_source::run_all(Arc::new(CgroupMetricSource::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_source_conforms() {
    let _machine = super::MACHINE.read().await;
    let engine = Engine::start();
    engine.import("load", &[]);
    engine.run("burning", &["--cpus", "0.2"], "load", &["burn"]);
    metric_source::run_all(Arc::new(DockerMetricSource::with_host(engine.host()))).await;
}

/// A machine without a driver has no library; then the section must state that.
#[cfg(feature = "gpu-metrics")]
#[tokio::test]
async fn gpu_source_conforms() {
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
