//! Collects the figures of a section that could not be read, with the reason of each.

use std::fmt::Display;
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
use std::path::Path;

use sutazai_core::Result;
use sutazai_core::domain::MissingFigures;

/// Figures that could not be read so far.
#[derive(Debug, Default)]
pub(super) struct Missing(Vec<MissingFigures>);

impl Missing {
    /// Adds figures by their metric paths, with the reason.
    pub(super) fn add(&mut self, figures: &[&str], reason: impl Display) {
        self.0.push(MissingFigures {
            figures: figures.iter().map(|figure| (*figure).to_owned()).collect(),
            reason: reason.to_string(),
        });
    }

    /// Returns the result of a reading; a failed one adds the figures.
    pub(super) fn keep<T>(&mut self, figures: &[&str], read: Result<T>) -> Option<T> {
        read.map_err(|e| self.add(figures, e.message())).ok()
    }

    /// Returns everything that is missing, for the section.
    pub(super) fn into_figures(self) -> Vec<MissingFigures> {
        self.0
    }
}

#[cfg(all(feature = "host-metrics", target_os = "linux"))]
impl Missing {
    /// Reads a file; one that cannot be read adds the figures.
    pub(super) fn read(&mut self, figures: &[&str], path: &Path) -> Option<String> {
        std::fs::read_to_string(path).map_err(|e| self.add(figures, unreadable(path, &e))).ok()
    }

    /// Reads a file that a kernel without a feature, or a removed control group, does not have: one that does not exist
    /// adds nothing.
    pub(super) fn read_if_exists(&mut self, figures: &[&str], path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Err(e) if does_not_exist(&e) => None,
            read => read.map_err(|e| self.add(figures, unreadable(path, &e))).ok(),
        }
    }

    /// Returns the reason of the first figures.
    pub(super) fn first_reason(&self) -> Option<&str> {
        self.0.first().map(|missing| missing.reason.as_str())
    }
}

/// Returns whether a reading failed because the file, or the control group of an open file, does not exist.
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
pub(super) fn does_not_exist(e: &std::io::Error) -> bool {
    /// Error number of a control group or device that was removed (errno(3)).
    const ENODEV: i32 = 19;
    e.kind() == std::io::ErrorKind::NotFound || e.raw_os_error() == Some(ENODEV)
}

/// Describes a failed reading of a file.
#[cfg(all(feature = "host-metrics", target_os = "linux"))]
pub(super) fn unreadable(path: &Path, e: &impl Display) -> String {
    format!("{} cannot be read: {e}", path.display())
}
