//! Source of the section `gpus`: NVIDIA GPUs, read through the driver's own library (NVML), which is loaded on first
//! use.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::MemoryInfo;
use nvml_wrapper::{Device, Nvml};
use sutazai_core::adapter::analysis_budget::SOURCE_TIMEOUT;
use sutazai_core::domain::{GpuMetrics, SnapshotPart};
use sutazai_core::ports::MetricSource;
use sutazai_core::{Error, Result};

use super::missing::Missing;
use super::own_thread::{Deadline, on_own_thread};

/// Metric source for the GPUs of an NVIDIA driver.
#[derive(Debug, Default)]
pub struct GpuMetricSource {
    library: Arc<OnceLock<Nvml>>,
}

impl GpuMetricSource {
    /// Creates a source that tries to load the driver's library at each collection until it succeeds.
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
        on_own_thread("gpus", Deadline::after(SOURCE_TIMEOUT), move || measure(&library))
            .await
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
        return Err(Error::unavailable("the NVIDIA driver reports no GPU"));
    }
    section(count, |index| nvml.device_by_index(index))
}

/// One GPU as its driver exposes it. Each value is a separate call that may fail: drivers do not support all values for
/// all cards, and a card may be lost between two calls.
trait GpuDevice {
    fn name(&self) -> Result<String, NvmlError>;
    fn memory(&self) -> Result<MemoryInfo, NvmlError>;
    fn used_percent(&self) -> Result<u32, NvmlError>;
    fn celsius(&self) -> Result<u32, NvmlError>;
}

impl GpuDevice for Device<'_> {
    fn name(&self) -> Result<String, NvmlError> {
        Device::name(self)
    }

    fn memory(&self) -> Result<MemoryInfo, NvmlError> {
        self.memory_info()
    }

    fn used_percent(&self) -> Result<u32, NvmlError> {
        Ok(self.utilization_rates()?.gpu)
    }

    fn celsius(&self) -> Result<u32, NvmlError> {
        self.temperature(TemperatureSensor::Gpu)
    }
}

/// Measures every GPU. A failing call leaves out its value; the section is missing only if every call fails.
fn section<D: GpuDevice>(count: u32, open: impl Fn(u32) -> Result<D, NvmlError>) -> Result<Vec<GpuMetrics>> {
    let gpus: Vec<GpuMetrics> = (0..count).map(|index| one(index, open(index))).collect();
    match gpus.iter().find_map(|gpu| gpu.missing.first()) {
        Some(missing) if gpus.iter().all(is_unknown) => Err(Error::unavailable(&missing.reason)),
        _ => Ok(gpus),
    }
}

/// Measures one of the GPUs.
fn one<D: GpuDevice>(index: u32, opened: Result<D, NvmlError>) -> GpuMetrics {
    let mut missing = Missing::default();
    let path = |figure: &str| format!("gpus[{index}].{figure}");
    let gpu = missing.keep(&[&format!("gpus[{index}]")], opened.map_err(unavailable));
    let gpu = gpu.as_ref();
    let name = gpu.and_then(|gpu| missing.keep(&[&path("name")], gpu.name().map_err(unavailable)));
    let memory = gpu.and_then(|gpu| {
        let figures = [path("memory_total_bytes"), path("memory_used_bytes")];
        missing.keep(&figures.each_ref().map(String::as_str), gpu.memory().map_err(unavailable))
    });
    let used =
        gpu.and_then(|gpu| missing.keep(&[&path("used_percent")], gpu.used_percent().map_err(unavailable)));
    let celsius = gpu.and_then(|gpu| missing.keep(&[&path("celsius")], gpu.celsius().map_err(unavailable)));
    GpuMetrics {
        index,
        name,
        used_percent: used.map(f64::from),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        celsius: celsius.map(f64::from),
        missing: missing.into_figures(),
    }
}

fn is_unknown(gpu: &GpuMetrics) -> bool {
    gpu.name.is_none()
        && gpu.used_percent.is_none()
        && gpu.memory_total_bytes.is_none()
        && gpu.celsius.is_none()
}

fn unavailable(e: NvmlError) -> Error {
    match e {
        NvmlError::LibloadingError(_) => {
            Error::unavailable("no NVIDIA driver library (NVML) on this machine")
        }
        NvmlError::DriverNotLoaded => Error::unavailable("the NVIDIA driver is not loaded"),
        other => Error::unavailable(format!("the NVIDIA driver does not respond: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::MissingFigures;

    use super::*;

    /// Card whose calls with these names fail.
    struct Card(&'static [&'static str]);

    impl Card {
        fn value<T>(&self, name: &str, value: T) -> Result<T, NvmlError> {
            if self.0.contains(&name) { Err(NvmlError::NotSupported) } else { Ok(value) }
        }
    }

    impl GpuDevice for Card {
        fn name(&self) -> Result<String, NvmlError> {
            self.value("name", "NVIDIA L4".to_owned())
        }

        fn memory(&self) -> Result<MemoryInfo, NvmlError> {
            self.value("memory", MemoryInfo { free: 6, reserved: 0, total: 10, used: 4, version: 2 })
        }

        fn used_percent(&self) -> Result<u32, NvmlError> {
            self.value("used_percent", 30)
        }

        fn celsius(&self) -> Result<u32, NvmlError> {
            self.value("celsius", 50)
        }
    }

    fn whole(index: u32) -> GpuMetrics {
        GpuMetrics {
            index,
            name: Some("NVIDIA L4".into()),
            used_percent: Some(30.0),
            memory_total_bytes: Some(10),
            memory_used_bytes: Some(4),
            celsius: Some(50.0),
            missing: Vec::new(),
        }
    }

    #[test]
    fn failing_call_loses_only_its_value() {
        let cards: [(&[&str], &[&str], GpuMetrics); 5] = [
            (&[], &[], whole(1)),
            (&["name"], &["gpus[1].name"], GpuMetrics { name: None, ..whole(1) }),
            (
                &["memory"],
                &["gpus[1].memory_total_bytes", "gpus[1].memory_used_bytes"],
                GpuMetrics { memory_total_bytes: None, memory_used_bytes: None, ..whole(1) },
            ),
            (&["used_percent"], &["gpus[1].used_percent"], GpuMetrics { used_percent: None, ..whole(1) }),
            (&["celsius"], &["gpus[1].celsius"], GpuMetrics { celsius: None, ..whole(1) }),
        ];
        for (failing, figures, expected) in cards {
            let mut gpus = section(2, |index| Ok(Card(if index == 1 { failing } else { &[] }))).unwrap();
            let missing = std::mem::take(&mut gpus[1].missing);
            assert_eq!(gpus, [whole(0), expected], "{failing:?}");
            assert_eq!(missing.iter().flat_map(|one| &one.figures).collect::<Vec<_>>(), figures);
            let told = |one: &MissingFigures| one.reason.starts_with("the NVIDIA driver does not respond: ");
            assert!(missing.iter().all(told), "{missing:?}");
        }
    }

    #[test]
    fn lost_card_does_not_affect_the_others() {
        let open = |index| if index == 0 { Err(NvmlError::GpuLost) } else { Ok(Card(&[])) };
        let gpus = section(2, open).unwrap();
        assert!(is_unknown(&gpus[0]) && gpus[0].missing[0].figures == ["gpus[0]"], "{gpus:?}");
        assert_eq!(gpus[1], whole(1));
    }

    #[test]
    fn section_is_missing_if_every_call_fails() {
        let all = |_| Ok(Card(&["name", "memory", "used_percent", "celsius"]));
        let lost = |_| Err::<Card, _>(NvmlError::GpuLost);
        for e in [section(2, all).unwrap_err(), section(2, lost).unwrap_err()] {
            assert_eq!(e.kind(), sutazai_core::ErrorKind::Unavailable);
            assert!(e.message().starts_with("the NVIDIA driver does not respond"), "{e}");
        }
    }
}
