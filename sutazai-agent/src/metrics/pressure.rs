//! Source of the section `pressure`: the share of time in which tasks waited for a resource, from `/proc/pressure` (the
//! kernel's `Documentation/accounting/psi.rst`). It distinguishes harmful load from mere use.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sutazai_core::adapter::analysis_budget::SOURCE_TIMEOUT;
use sutazai_core::domain::{Pressure, PressureMetrics, SnapshotPart};
use sutazai_core::ports::MetricSource;
use sutazai_core::{Error, Result};

use super::missing::Missing;
use super::own_thread::{Deadline, on_own_thread};

/// Metric source for the pressure stall information of this machine.
#[derive(Debug)]
pub struct PressureMetricSource {
    folder: PathBuf,
}

impl PressureMetricSource {
    /// Creates a source that reads `/proc`.
    pub fn new() -> Self {
        Self::with_root("/proc")
    }

    /// Creates a source that reads a tree laid out like `/proc`.
    pub fn with_root(proc: impl AsRef<Path>) -> Self {
        Self { folder: proc.as_ref().join("pressure") }
    }
}

impl Default for PressureMetricSource {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl MetricSource for PressureMetricSource {
    fn name(&self) -> &str {
        "pressure"
    }

    async fn collect(&self) -> Result<SnapshotPart> {
        let folder = self.folder.clone();
        on_own_thread("pressure", Deadline::after(SOURCE_TIMEOUT), move || measure(&folder))
            .await
            .map(SnapshotPart::Pressure)
    }
}

/// Reads all resources. A kernel built or started without pressure stall information has no such files, or unreadable
/// ones.
fn measure(folder: &Path) -> Result<PressureMetrics> {
    let mut missing = Missing::default();
    let mut read = |resource: &str| {
        let (path, figure) = (folder.join(resource), format!("pressure.{resource}"));
        let text = missing.read(&[&figure], &path)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            missing.add(&[&figure], format!("{} has no line `some`", path.display()));
        }
        parsed
    };
    let (cpu, memory, io) = (read("cpu"), read("memory"), read("io"));
    if cpu.is_none() && memory.is_none() && io.is_none() {
        let reason = missing.first_reason().unwrap_or_default();
        return Err(Error::unavailable(format!("no pressure stall information: {reason}")));
    }
    Ok(PressureMetrics {
        // For the whole machine the kernel does not define these values and writes zeros (psi.rst).
        cpu: cpu.map(|cpu| Pressure { full_avg10: None, full_avg60: None, ..cpu }),
        memory,
        io,
        missing: missing.into_figures(),
    })
}

fn parse(text: &str) -> Option<Pressure> {
    let mean = |kind: &str, span: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.split_whitespace().find_map(|word| word.strip_prefix(span))?.parse().ok()
    };
    Some(Pressure {
        some_avg10: mean("some ", "avg10=")?,
        some_avg60: mean("some ", "avg60=")?,
        full_avg10: mean("full ", "avg10="),
        full_avg60: mean("full ", "avg60="),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn recorded_tree_is_read() {
        let proc = tempfile::tempdir().unwrap();
        let source = PressureMetricSource::with_root(proc.path());
        let e = source.collect().await.unwrap_err();
        assert!(e.message().starts_with("no pressure stall information"), "{e}");

        let both = "some avg10=1.50 avg60=2.25 avg300=3.00 total=9\nfull avg10=0.50 avg60=0.25 avg300=0.00 total=1\n";
        fs::create_dir(proc.path().join("pressure")).unwrap();
        for resource in ["cpu", "memory"] {
            fs::write(proc.path().join("pressure").join(resource), both).unwrap();
        }
        fs::write(proc.path().join("pressure/io"), "some avg10=0.00 avg60=99.99 avg300=0.00 total=0\n")
            .unwrap();
        let pressure = |some10, some60, full10, full60| Pressure {
            some_avg10: some10,
            some_avg60: some60,
            full_avg10: full10,
            full_avg60: full60,
        };
        let expected = PressureMetrics {
            cpu: Some(pressure(1.5, 2.25, None, None)),
            memory: Some(pressure(1.5, 2.25, Some(0.5), Some(0.25))),
            io: Some(pressure(0.0, 99.99, None, None)),
            missing: Vec::new(),
        };
        assert_eq!(source.collect().await.unwrap(), SnapshotPart::Pressure(expected.clone()));

        let io = proc.path().join("pressure/io");
        for (unreadable, reason) in [(false, "has no line `some`"), (true, "cannot be read")] {
            if unreadable {
                fs::remove_file(&io).unwrap();
            } else {
                fs::write(&io, "full avg10=0.00\n").unwrap();
            }
            let SnapshotPart::Pressure(measured) = source.collect().await.unwrap() else { panic!() };
            assert_eq!((&measured.cpu, &measured.memory), (&expected.cpu, &expected.memory));
            assert_eq!(measured.io, None);
            let [missing] = &measured.missing[..] else { panic!("{measured:?}") };
            assert_eq!(missing.figures, ["pressure.io"]);
            assert!(missing.reason.starts_with(&format!("{} {reason}", io.display())), "{missing:?}");
        }
    }
}
