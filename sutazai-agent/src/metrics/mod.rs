//! Metric sources: one file each, every one an implementation of [`MetricSource`], listed in [`all`].
//!
//! A source measures one section of a snapshot. A value that this machine cannot provide is `Unavailable` with a
//! reason, and the snapshot shows the section as missing.

use std::sync::Arc;

use sutazai_core::ports::MetricSource;

#[cfg(any(feature = "host-metrics", all(feature = "docker-metrics", unix)))]
mod baseline;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
mod cgroup;
#[cfg(all(feature = "docker-metrics", unix))]
mod docker;
#[cfg(feature = "gpu-metrics")]
mod gpu;
mod host_name;
#[cfg(any(feature = "host-metrics", feature = "docker-metrics", feature = "gpu-metrics"))]
mod missing;
#[cfg(any(feature = "host-metrics", feature = "gpu-metrics"))]
mod own_thread;
#[cfg(feature = "host-metrics")]
mod portable;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
mod pressure;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
mod stat_program;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
mod system;

#[cfg(all(feature = "host-metrics", target_os = "linux"))]
pub use cgroup::CgroupMetricSource;
#[cfg(all(feature = "docker-metrics", unix))]
pub use docker::DockerMetricSource;
#[cfg(feature = "gpu-metrics")]
pub use gpu::GpuMetricSource;
pub use host_name::host_name;
#[cfg(feature = "host-metrics")]
pub use portable::PortableMetricSource;
#[cfg(all(feature = "host-metrics", not(target_os = "linux")))]
pub use portable::answers;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
pub use pressure::PressureMetricSource;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
pub use stat_program::answers;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
pub use system::SystemMetricSource;

/// Returns all built-in sources, each with its default paths on this machine.
pub fn all() -> Vec<Arc<dyn MetricSource>> {
    vec![
        #[cfg(all(feature = "host-metrics", target_os = "linux"))]
        Arc::new(SystemMetricSource::new()),
        #[cfg(all(feature = "host-metrics", not(target_os = "linux")))]
        Arc::new(PortableMetricSource::new()),
        #[cfg(all(feature = "host-metrics", target_os = "linux"))]
        Arc::new(PressureMetricSource::new()),
        #[cfg(all(feature = "host-metrics", target_os = "linux"))]
        Arc::new(CgroupMetricSource::new()),
        #[cfg(all(feature = "docker-metrics", unix))]
        Arc::new(DockerMetricSource::new()),
        #[cfg(feature = "gpu-metrics")]
        Arc::new(GpuMetricSource::new()),
    ]
}
