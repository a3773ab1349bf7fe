//! State of the kernel's clock (adjtimex(2)), and whether a time service runs.

use sutazai_core::domain::ClockMetrics;
use sutazai_core::{Error, Result};

/// Processes of time services, by the first 15 characters of their names, which are all that the kernel keeps.
const SERVICES: [&str; 9] = [
    "chronyd",
    "ntpd",
    "ntpd-rs",
    "ntp-daemon",
    "openntpd",
    "systemd-timesyn",
    "ptp4l",
    "phc2sys",
    "timemaster",
];

/// Reads the kernel's clock state without changing it.
///
/// Not every service sets the kernel's flag when it synchronizes the clock, so the process list is searched as well.
///
/// # Errors
/// `Unavailable` if the call is not permitted, as in some containers.
pub(super) fn read(processes: &[(u32, String)]) -> Result<ClockMetrics> {
    let timex = ask().map_err(|e| Error::unavailable(format!("adjtimex(2) failed: {e}")))?;
    let service = processes.iter().find(|(_, name)| SERVICES.contains(&name.as_str()));
    Ok(ClockMetrics {
        synchronized: timex.status & libc::STA_UNSYNC == 0,
        // The kernel counts in microseconds.
        max_error_ms: timex.maxerror as f64 / 1e3,
        service: service.map(|(_, name)| name.clone()),
    })
}

/// Calls adjtimex(2). Unsafe, because no file of `/proc` has this state and no library in use wraps the call.
#[allow(unsafe_code)]
fn ask() -> std::io::Result<libc::timex> {
    // SAFETY: `timex` holds integers only, for which zeros are good values. Its `modes` are 0: the call sets nothing,
    // it only fills in the struct, which outlives it.
    unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        if libc::adjtimex(&raw mut timex) < 0 { Err(std::io::Error::last_os_error()) } else { Ok(timex) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_reports_an_error_of_at_most_16_seconds() {
        let named = |name: &str| read(&[(7, "bash".to_owned()), (8, name.to_owned())]).unwrap().service;
        assert_eq!((named("chronyd"), named("chronyd2")), (Some("chronyd".to_owned()), None));
        let clock = read(&[]).unwrap();
        assert!((0.0..=16_000.0).contains(&clock.max_error_ms), "{clock:?}");
        // A synchronized clock has not reached the maximum error.
        assert!(!clock.synchronized || clock.max_error_ms < 16_000.0, "{clock:?}");
    }
}
