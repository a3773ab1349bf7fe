//! Host name of this machine: the default name of the host in samples and analyses.

use sutazai_core::domain::LOCAL_HOST;

/// Reads the host name from the system; falls back to [`LOCAL_HOST`] if it cannot be read or is not set.
pub fn host_name() -> String {
    match read().unwrap_or_default().trim() {
        "" | "(none)" => LOCAL_HOST.to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(any(target_os = "linux", not(feature = "host-metrics")))]
fn read() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").ok()
}

#[cfg(all(feature = "host-metrics", not(target_os = "linux")))]
fn read() -> Option<String> {
    sysinfo::System::host_name().ok()
}
