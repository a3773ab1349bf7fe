//! The section `gpus`: NVIDIA GPUs through the driver's own library (NVML), loaded when it is first asked for.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use sutazai_core::domain::{GpuMetrics, SnapshotPart};
use sutazai_core::ports::MetricSource;
use sutazai_core::{Error, Result};

/// The GPUs that an NVIDIA driver knows.
#[derive(Debug, Default)]
pub struct GpuMetricSource {
    library: Arc<OnceLock<Nvml>>,
}

impl GpuMetricSource {
    /// Over the driver's library, which is looked for at each collection until it is there.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl MetricSource for GpuMetricSource {
    fn name(&self) -> &str {
        "gpus"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let library = self.library.clone();
        tokio::task::spawn_blocking(move || measure(&library))
            .await
            .map_err(|e| Error::internal("asking the NVIDIA driver failed").with_source(e))?
            .map(SnapshotPart::Gpus)
    }
}

fn measure(library: &OnceLock<Nvml>) -> Result<Vec<GpuMetrics>> {
    let nvml = match library.get() {
        Some(nvml) => nvml,
        None => {
            let loaded = Nvml::init().map_err(unavailable)?;
            library.get_or_init(|| loaded)
        }
    };
    let count = nvml.device_count().map_err(unavailable)?;
    if count == 0 {
        return Err(Error::unavailable("the NVIDIA driver knows no GPU"));
    }
    (0..count)
        .map(|index| nvml.device_by_index(index).and_then(|gpu| one(index, &gpu)).map_err(unavailable))
        .collect()
}

fn one(index: u32, gpu: &Device<'_>) -> std::result::Result<GpuMetrics, NvmlError> {
    let memory = gpu.memory_info()?;
    Ok(GpuMetrics {
        index,
        name: gpu.name()?,
        used_percent: f64::from(gpu.utilization_rates()?.gpu),
        memory_total_bytes: memory.total,
        memory_used_bytes: memory.used,
        celsius: gpu.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
    })
}

fn unavailable(e: NvmlError) -> Error {
    match e {
        NvmlError::LibloadingError(_) => {
            Error::unavailable("no NVIDIA driver library (NVML) on this machine")
        }
        NvmlError::DriverNotLoaded => Error::unavailable("the NVIDIA driver is not loaded"),
        other => Error::unavailable(format!("the NVIDIA driver does not answer: {other}")),
    }
}
