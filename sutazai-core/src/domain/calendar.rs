//! Sums of times and durations that cannot panic, whoever named the duration.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The time that lies `by` after `at`, or the last one that the calendar has.
///
/// `at + by` panics where the calendar ends. A duration that a setting, a caller or a server names may be that long.
#[must_use]
pub fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let sum = TimeDelta::from_std(by).ok().and_then(|by| at.checked_add_signed(by));
    sum.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The time that lies `by` before `at`, or the first one that the calendar has.
#[must_use]
pub fn earlier(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let difference = TimeDelta::from_std(by).ok().and_then(|by| at.checked_sub_signed(by));
    difference.unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_end_where_the_calendar_does() {
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
