//! Host name of this machine: the default name of the host in samples and analyses.

use sutazai_core::domain::LOCAL_HOST;

/// Reads the host name from the kernel; falls back to [`LOCAL_HOST`] if it cannot be read or is not set.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" | "(none)" => LOCAL_HOST.to_owned(),
        name => name.to_owned(),
    }
}
