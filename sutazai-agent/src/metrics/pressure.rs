//! Source of the section `pressure`: the share of time in which tasks waited for a resource, from `/proc/pressure` (the
//! kernel's `Documentation/accounting/psi.rst`). It distinguishes harmful load from mere use.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sutazai_core::domain::{Pressure, PressureMetrics, SnapshotPart};
use sutazai_core::ports::MetricSource;
use sutazai_core::{Error, Result};

use super::own_thread::{READ_TIMEOUT, on_own_thread};

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
        on_own_thread("pressure", READ_TIMEOUT, move || measure(&folder)).await.map(SnapshotPart::Pressure)
    }
}

fn measure(folder: &Path) -> Result<PressureMetrics> {
    let cpu = read(folder, "cpu")?;
    Ok(PressureMetrics {
        // For the whole machine the kernel does not define these values and writes zeros (psi.rst).
        cpu: Pressure { full_avg10: None, full_avg60: None, ..cpu },
        memory: read(folder, "memory")?,
        io: read(folder, "io")?,
    })
}

/// Reads one resource. A kernel built or started without pressure stall information has no such file, or an unreadable
/// one.
fn read(folder: &Path, resource: &str) -> Result<Pressure> {
    let path = folder.join(resource);
    let text = fs::read_to_string(&path).map_err(|e| {
        Error::unavailable(format!("no pressure stall information: {} cannot be read: {e}", path.display()))
    })?;
    parse(&text).ok_or_else(|| Error::unavailable(format!("{} has no line `some`", path.display())))
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
            cpu: pressure(1.5, 2.25, None, None),
            memory: pressure(1.5, 2.25, Some(0.5), Some(0.25)),
            io: pressure(0.0, 99.99, None, None),
        };
        assert_eq!(source.collect().await.unwrap(), SnapshotPart::Pressure(expected));
    }
}
