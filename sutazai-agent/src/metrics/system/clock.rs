//! What the kernel says of its clock (adjtimex(2)).

use sutazai_core::domain::ClockMetrics;

/// Reads the kernel's clock state and changes nothing; none where the call is not allowed, as in some containers.
pub(super) fn read() -> Option<ClockMetrics> {
    let timex = ask()?;
    Some(ClockMetrics {
        synchronized: timex.status & libc::STA_UNSYNC == 0,
        // The kernel counts in microseconds.
        max_error_ms: timex.maxerror as f64 / 1e3,
    })
}

/// The one place with unsafe code: no file of /proc tells this, and no library that the project uses calls it.
#[allow(unsafe_code)]
fn ask() -> Option<libc::timex> {
    // SAFETY: `timex` holds integers only, for which zeros are good values. Its `modes` are 0: the call sets nothing,
    // it only fills in the struct, which outlives it.
    unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex) >= 0).then_some(timex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_and_counts_no_further_than_16_seconds() {
        let clock = read().unwrap();
        assert!((0.0..=16_000.0).contains(&clock.max_error_ms), "{clock:?}");
        // A clock that is in step has not counted to the end.
        assert!(!clock.synchronized || clock.max_error_ms < 16_000.0, "{clock:?}");
    }
}
