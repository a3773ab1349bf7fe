//! Name of this machine: the default host of its samples and analyses.

use sutazai_core::domain::LOCAL_HOST;

/// Reads the host name that the kernel has, and falls back to [`LOCAL_HOST`] where there is none to read.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" | "(none)" => LOCAL_HOST.to_owned(),
        name => name.to_owned(),
    }
}
