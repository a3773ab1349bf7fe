//! Names of the operating system and of the processor, which do not change while the machine runs.

use std::fs;
use std::path::Path;

use sutazai_core::{Error, Result};

use super::super::missing::unreadable;

/// Keys of the name in `/proc/cpuinfo`: on x86, MIPS, POWER and some ARM machines.
const MODEL_KEYS: [&str; 4] = ["model name", "cpu model", "cpu", "Model"];

/// Names that are read once, each with the error of its reading.
#[derive(Debug)]
pub(super) struct Identity {
    /// Operating system by its own name (os-release(5)).
    pub(super) system: Result<String>,
    /// Model of the processor.
    pub(super) model: Result<String>,
}

impl Identity {
    /// Reads both names; `etc` is next to `/proc`.
    pub(super) fn read(proc: &Path) -> Self {
        let os_release = proc.parent().unwrap_or(proc).join("etc/os-release");
        let system = |text: &str| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim().trim_matches(['"', '\'']).to_owned())
        };
        Self { system: find(&os_release, system), model: find(&proc.join("cpuinfo"), model) }
    }
}

/// Reads a name in a file.
///
/// # Errors
/// `Unavailable` if the file cannot be read or has no name.
fn find(path: &Path, name: impl Fn(&str) -> Option<String>) -> Result<String> {
    let text = fs::read_to_string(path).map_err(|e| Error::unavailable(unreadable(path, &e)))?;
    let missing = || Error::unavailable(format!("{} has no name", path.display()));
    name(&text).filter(|name| !name.is_empty()).ok_or_else(missing)
}

fn model(cpuinfo: &str) -> Option<String> {
    let value = |key: &str| {
        cpuinfo.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.trim() == key).then(|| value.trim().to_owned())
        })
    };
    MODEL_KEYS.into_iter().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_quotes() {
        let root = tempfile::tempdir().unwrap();
        let proc = root.path().join("proc");
        for folder in ["proc", "etc"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let lost = Identity::read(&proc);
        assert!(lost.system.unwrap_err().message().contains("os-release cannot be read"));
        let os_release = root.path().join("etc/os-release");
        fs::write(&os_release, "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n").unwrap();
        fs::write(proc.join("cpuinfo"), "processor : 0\nmodel name\t: AMD EPYC 7B13\n").unwrap();
        let read = Identity::read(&proc);
        assert_eq!(read.system.unwrap(), "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(read.model.unwrap(), "AMD EPYC 7B13");
        fs::write(proc.join("cpuinfo"), "processor : 0\nBogoMIPS : 108.00\n").unwrap();
        fs::write(&os_release, "PRETTY_NAME=\n").unwrap();
        let nameless = Identity::read(&proc);
        assert!(nameless.model.unwrap_err().message().ends_with("cpuinfo has no name"));
        assert!(nameless.system.unwrap_err().message().ends_with("os-release has no name"));
    }

    #[test]
    fn other_architectures_have_other_keys() {
        for (cpuinfo, expected) in [
            ("processor : 0\ncpu : POWER9, altivec supported\n", Some("POWER9, altivec supported")),
            (
                "BogoMIPS : 108\nHardware : BCM2835\nModel : Raspberry Pi 4 Model B\n",
                Some("Raspberry Pi 4 Model B"),
            ),
            ("", None),
        ] {
            assert_eq!(model(cpuinfo).as_deref(), expected);
        }
    }
}
