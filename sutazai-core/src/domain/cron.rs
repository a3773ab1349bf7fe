//! When a schedule is due: a cron pattern in a time zone.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Error, Result};

/// The longest pattern, in characters.
const LONGEST: usize = 100;

/// The times of a cron pattern of five fields in a time zone of the IANA database.
///
/// Where the clocks go forward, what is due in the hour that is left out is due at its end. Where they go back, what is
/// due at a fixed time is due once, at the first of the two; what is due every so many minutes or hours is due in both.
#[derive(Debug, Clone)]
pub struct CronTimes {
    pattern: croner::Cron,
    zone: Tz,
}

impl CronTimes {
    /// Reads them.
    ///
    /// # Errors
    /// `InvalidInput` naming `cron` or `time_zone`, also for a pattern whose time never comes.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self> {
        let refused = |why: String| {
            let example = "expected five fields (minute, hour, day of month, month, day of week) such as 30 2 * * MON-FRI";
            Error::invalid("cron", format!("{example}: {why}"))
        };
        if pattern.chars().count() > LONGEST {
            return Err(refused(format!("it has more than {LONGEST} characters")));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let times = Self {
            pattern: parser.parse(pattern).map_err(|e| refused(e.to_string()))?,
            zone: zone.parse().map_err(|_| {
                Error::invalid(
                    "time_zone",
                    "expected a name of the IANA database such as Europe/Berlin or UTC",
                )
            })?,
        };
        match times.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(refused("that never comes".into())),
        }
    }

    /// The first time after this one; none when there is none any more.
    pub fn after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let next = self.pattern.find_next_occurrence(&time.with_timezone(&self.zone), false);
        next.ok().map(|next| next.to_utc())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The times after this one, as UTC.
    fn times(pattern: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let times = CronTimes::parse(pattern, zone).unwrap();
        let following = std::iter::successors(times.after(at(from)), |last| times.after(*last));
        following.take(count).map(|time| time.format("%m-%d %H:%M").to_string()).collect()
    }

    #[test]
    fn what_is_none_is_refused_by_name() {
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "x * * * *",
            "0 0 30 2 *",
            "@secondly",
            "1-0 * * * *",
            "*/0 * * * *",
            &"1,".repeat(60),
        ] {
            let e = CronTimes::parse(bad, "UTC").unwrap_err();
            assert_eq!(e.field(), Some("cron"), "{bad}: {e}");
            assert!(e.to_string().contains("five fields"), "{e}");
        }
        for bad in ["", "Europe", "Berlin", "+01:00", "CEST", "Europe/Berlin "] {
            let e = CronTimes::parse("0 0 * * *", bad).unwrap_err();
            assert_eq!(e.field(), Some("time_zone"), "{bad}: {e}");
        }
    }

    #[test]
    fn patterns_mean_what_they_say() {
        let from = "2026-01-01T00:00:00Z";
        assert_eq!(times("*/20 * * * *", "UTC", from, 3), ["01-01 00:20", "01-01 00:40", "01-01 01:00"]);
        assert_eq!(times("30 2 * * MON-FRI", "UTC", from, 3), ["01-01 02:30", "01-02 02:30", "01-05 02:30"]);
        assert_eq!(times("0 0 29 2 *", "UTC", from, 1), ["02-29 00:00"]);
        assert_eq!(times("0 9 * * *", "Asia/Kathmandu", from, 1), ["01-01 03:15"]);
    }

    #[test]
    fn when_the_clocks_go_forward_nothing_is_left_out() {
        // In Berlin 2026-03-29 02:00 is 03:00.
        let from = "2026-03-28T12:00:00Z";
        assert_eq!(times("30 2 * * *", "Europe/Berlin", from, 2), ["03-29 01:00", "03-30 00:30"]);
        assert_eq!(
            times("0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2),
            ["03-29 01:00", "03-29 02:00"]
        );
    }

    #[test]
    fn when_the_clocks_go_back_a_fixed_time_comes_once() {
        // In Berlin 2026-10-25 03:00 is 02:00.
        let from = "2026-10-24T12:00:00Z";
        assert_eq!(times("30 2 * * *", "Europe/Berlin", from, 2), ["10-25 00:30", "10-26 01:30"]);
        let every_half_hour = times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4);
        assert_eq!(every_half_hour, ["10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00"]);
    }
}
