//! Saturating arithmetic on times and durations, for durations from untrusted sources.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Returns `at + by`, or the last representable time if that overflows.
///
/// The operator `+` panics on overflow, and a duration from a setting, a caller or a server may be that long.
#[must_use]
pub fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let sum = TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by));
    sum.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Returns `at - by`, or the first representable time if that underflows.
#[must_use]
pub(crate) fn earlier(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let difference = TimeDelta::from_std(by).ok().and_then(|by| at.checked_sub_signed(by));
    difference.unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate_at_the_ends_of_the_calendar() {
        let at = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        let hour = Duration::from_secs(3_600);
        assert_eq!(later(at, hour), at + TimeDelta::hours(1));
        assert_eq!(earlier(later(at, hour), hour), at);
        for long in [Duration::MAX, Duration::from_secs(9_223_372_036_854_775)] {
            assert_eq!(later(at, long), DateTime::<Utc>::MAX_UTC);
            assert_eq!(earlier(at, long), DateTime::<Utc>::MIN_UTC);
        }
    }
}
