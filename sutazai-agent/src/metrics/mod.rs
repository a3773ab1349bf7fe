//! Metric sources: one file each, every one an implementation of [`MetricSource`], listed in [`all`].
//!
//! A source measures one section of a snapshot. A value that this machine cannot provide is `Unavailable` with a
//! reason, and the snapshot shows the section as missing. [`History`] records the measured values over time.

use std::sync::Arc;

use sutazai_core::ports::MetricSource;

#[cfg(any(feature = "system", all(feature = "docker", unix)))]
mod baseline;
#[cfg(all(feature = "system", target_os = "linux"))]
mod cgroup;
#[cfg(all(feature = "docker", unix))]
mod docker;
#[cfg(feature = "gpu")]
mod gpu;
mod history;
mod host_name;
#[cfg(any(feature = "system", feature = "docker", feature = "gpu"))]
mod missing;
#[cfg(any(feature = "system", feature = "gpu"))]
mod own_thread;
#[cfg(feature = "system")]
mod portable;
#[cfg(all(feature = "system", target_os = "linux"))]
mod pressure;
#[cfg(all(feature = "system", target_os = "linux"))]
mod stat_program;
#[cfg(all(feature = "system", target_os = "linux"))]
mod system;

#[cfg(all(feature = "system", target_os = "linux"))]
pub use cgroup::CgroupMetricSource;
#[cfg(all(feature = "docker", unix))]
pub use docker::DockerMetricSource;
#[cfg(feature = "gpu")]
pub use gpu::GpuMetricSource;
pub use history::History;
pub use host_name::host_name;
#[cfg(feature = "system")]
pub use portable::PortableMetricSource;
#[cfg(all(feature = "system", not(target_os = "linux")))]
pub use portable::answers;
#[cfg(all(feature = "system", target_os = "linux"))]
pub use pressure::PressureMetricSource;
#[cfg(all(feature = "system", target_os = "linux"))]
pub use stat_program::answers;
#[cfg(all(feature = "system", target_os = "linux"))]
pub use system::SystemMetricSource;

/// Returns all built-in sources, each with its default paths on this machine.
pub fn all() -> Vec<Arc<dyn MetricSource>> {
    vec![
        #[cfg(all(feature = "system", target_os = "linux"))]
        Arc::new(SystemMetricSource::new()),
        #[cfg(all(feature = "system", not(target_os = "linux")))]
        Arc::new(PortableMetricSource::new()),
        #[cfg(all(feature = "system", target_os = "linux"))]
        Arc::new(PressureMetricSource::new()),
        #[cfg(all(feature = "system", target_os = "linux"))]
        Arc::new(CgroupMetricSource::new()),
        #[cfg(all(feature = "docker", unix))]
        Arc::new(DockerMetricSource::new()),
        #[cfg(feature = "gpu")]
        Arc::new(GpuMetricSource::new()),
    ]
}
