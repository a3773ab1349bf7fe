//! Due times of a schedule: a cron pattern in a time zone.
//!
//! The crate croner parses patterns and finds the days and times that they name. This module decides what happens at
//! clock changes, because croner treats a list of fixed times like a recurring interval.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Error, Result};

/// Maximum length of a pattern in characters.
const MAX_PATTERN_CHARS: usize = 100;
/// Upper bound of every offset from UTC that a zone has ever had: Manila and Juneau were about 15 hours off.
const MAX_OFFSET: TimeDelta = TimeDelta::hours(16);

/// Times of a cron pattern of five fields in a time zone of the IANA database.
///
/// A pattern whose minute or hour begins with `*` recurs: it is due whenever the local clock shows such a time. So it
/// is never due in the hour that is skipped when clocks go forward, and twice in the hour that is repeated when they go
/// back. Any other pattern names fixed times, also in lists and ranges. Each of them is due once, at the first instant
/// at which the local clock shows it or has passed it: at the end of a skipped hour, and in the first of two equal
/// hours.
///
/// If both the day of the month and the day of the week are given, a day needs to match only one of them. If one of
/// them begins with `*`, such as `*/2`, a day must match both. This is the behavior of Vixie cron.
#[derive(Debug, Clone)]
pub struct CronTimes {
    pattern: croner::Cron,
    zone: Tz,
    /// Indicates that the pattern names fixed times instead of an interval.
    is_fixed: bool,
}

impl CronTimes {
    /// Parses a pattern and the name of a time zone.
    ///
    /// # Errors
    /// `InvalidInput` naming `cron` or `time_zone`, also for a pattern that is never due.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self> {
        let refused = |why: String| {
            let example = "expected five fields (minute, hour, day of month, month, day of week) such as 30 2 * * MON-FRI";
            Error::invalid("cron", format!("{example}: {why}"))
        };
        if pattern.chars().count() > MAX_PATTERN_CHARS {
            return Err(refused(format!("it has more than {MAX_PATTERN_CHARS} characters")));
        }
        let fields: Vec<&str> = pattern.split_whitespace().collect();
        let varies = |field: usize| fields.get(field).is_some_and(|field| field.starts_with(['*', '?']));
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(varies(2) || varies(4))
            .build();
        let times = Self {
            pattern: parser.parse(pattern).map_err(|e| refused(e.to_string()))?,
            zone: zone.parse().map_err(|_| {
                Error::invalid(
                    "time_zone",
                    "expected a name of the IANA database such as Europe/Berlin or UTC",
                )
            })?,
            is_fixed: !varies(0) && !varies(1) && !pattern.trim().eq_ignore_ascii_case("@hourly"),
        };
        match times.after(DateTime::UNIX_EPOCH) {
            Some(_) => Ok(times),
            None => Err(refused("it matches no time".into())),
        }
    }

    /// Returns the first due time after `time`; `None` if there is none.
    pub fn after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let shown = time.with_timezone(&self.zone);
        if !self.is_fixed {
            return self.pattern.find_next_occurrence(&shown, false).ok().map(|next| next.to_utc());
        }
        // The pattern is evaluated on a clock without changes, and each of its times is then mapped to the first
        // instant at which the zone's clock shows it. The times of a repeated hour have been due already, so they are
        // skipped.
        let mut local = shown.naive_local().and_utc();
        loop {
            local = self.pattern.find_next_occurrence(&local, false).ok()?;
            let due = self.first_shown(local.naive_utc())?;
            if due > time {
                return Some(due);
            }
        }
    }

    /// Returns the first `count` due times after `time`, in ascending order; fewer if there are no more.
    pub fn next(&self, time: DateTime<Utc>, count: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.after(time), |last| self.after(*last)).take(count).collect()
    }

    /// Returns the first instant at which the local clock shows this time, or the end of the gap if it is skipped.
    fn first_shown(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => Some(time.to_utc()),
            MappedLocalTime::None => {
                // Bisection: the local clock shows less at one end and more at the other, with one change between them.
                let mut before = local.and_utc().checked_sub_signed(MAX_OFFSET)?;
                let mut behind = local.and_utc().checked_add_signed(MAX_OFFSET)?;
                while behind - before > TimeDelta::seconds(1) {
                    let middle = before + TimeDelta::seconds((behind - before).num_seconds() / 2);
                    match middle.with_timezone(&self.zone).naive_local() < local {
                        true => before = middle,
                        false => behind = middle,
                    }
                }
                Some(behind)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// Returns the next `count` times after `from`, in UTC.
    fn times(pattern: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let next = CronTimes::parse(pattern, zone).unwrap().next(at(from), count);
        next.iter().map(|time| time.format("%m-%d %H:%M").to_string()).collect()
    }

    #[test]
    fn invalid_pattern_or_zone_is_refused_by_field() {
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
    fn patterns_are_evaluated_in_their_zone() {
        let from = "2026-01-01T00:00:00Z";
        assert_eq!(times("*/20 * * * *", "UTC", from, 3), ["01-01 00:20", "01-01 00:40", "01-01 01:00"]);
        assert_eq!(times("30 2 * * MON-FRI", "UTC", from, 3), ["01-01 02:30", "01-02 02:30", "01-05 02:30"]);
        assert_eq!(times("0 0 29 2 *", "UTC", from, 1), ["02-29 00:00"]);
        assert_eq!(times("0 9 * * *", "Asia/Kathmandu", from, 1), ["01-01 03:15"]);
    }

    #[test]
    fn skipped_fixed_time_is_due_at_the_end_of_the_gap() {
        // In Berlin, clocks go from 02:00 to 03:00 on 2026-03-29.
        let from = "2026-03-28T12:00:00Z";
        assert_eq!(times("30 2 * * *", "Europe/Berlin", from, 2), ["03-29 01:00", "03-30 00:30"]);
        assert_eq!(
            times("0 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z", 2),
            ["03-29 01:00", "03-29 02:00"]
        );
    }

    #[test]
    fn repeated_fixed_time_is_due_once() {
        // In Berlin, clocks go from 03:00 back to 02:00 on 2026-10-25.
        let from = "2026-10-24T12:00:00Z";
        assert_eq!(times("30 2 * * *", "Europe/Berlin", from, 2), ["10-25 00:30", "10-26 01:30"]);
        let every_half_hour = times("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4);
        assert_eq!(every_half_hour, ["10-25 00:30", "10-25 01:00", "10-25 01:30", "10-25 02:00"]);
    }

    #[test]
    fn times_of_lists_and_ranges_are_fixed() {
        let spring = "2026-03-28T22:00:00Z";
        for (pattern, expected) in [
            ("30 2,14 * * *", &["03-29 01:00", "03-29 12:30", "03-30 00:30"][..]),
            ("0,30 2 * * *", &["03-29 01:00", "03-30 00:00", "03-30 00:30"]),
            ("15 1-3 * * *", &["03-29 00:15", "03-29 01:00", "03-29 01:15", "03-29 23:15"]),
            ("0-59/20 2-4/2 * * *", &["03-29 01:00", "03-29 02:00", "03-29 02:20"]),
            ("59 1 * * *", &["03-29 00:59", "03-29 23:59"]),
            ("0 3 * * *", &["03-29 01:00", "03-30 01:00"]),
        ] {
            assert_eq!(times(pattern, "Europe/Berlin", spring, expected.len()), expected, "{pattern}");
        }
        let autumn = "2026-10-24T22:00:00Z";
        for (pattern, expected) in [
            ("30 2,14 * * *", &["10-25 00:30", "10-25 13:30", "10-26 01:30"][..]),
            ("0,30 2 * * *", &["10-25 00:00", "10-25 00:30", "10-26 01:00"]),
            ("15 1-3 * * *", &["10-24 23:15", "10-25 00:15", "10-25 02:15", "10-26 00:15"]),
            ("0 2-3 * * *", &["10-25 00:00", "10-25 02:00", "10-26 01:00"]),
        ] {
            assert_eq!(times(pattern, "Europe/Berlin", autumn, expected.len()), expected, "{pattern}");
        }
        // A server that starts in the second of two equal hours.
        assert_eq!(times("0,30 2 * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", 1), ["10-26 01:00"]);
    }

    #[test]
    fn fixed_times_hold_in_zones_with_unusual_changes() {
        for (zone, pattern, from, expected) in [
            // Beirut skips midnight on 2026-03-29 and repeats the hour from 23:00 on 2026-10-24.
            (
                "Asia/Beirut",
                "0 0,12 * * *",
                "2026-03-28T12:00:00Z",
                &["03-28 22:00", "03-29 09:00", "03-29 21:00"][..],
            ),
            ("Asia/Beirut", "0 0,12 * * *", "2026-10-24T12:00:00Z", &["10-24 22:00", "10-25 10:00"]),
            ("Asia/Beirut", "30 23 * * *", "2026-10-24T12:00:00Z", &["10-24 20:30", "10-25 21:30"]),
            // Lord Howe changes by half an hour, from 02:00 to 02:30 and back.
            (
                "Australia/Lord_Howe",
                "10,20,40 2 * * *",
                "2026-10-03T15:00:00Z",
                &["10-03 15:30", "10-03 15:40", "10-04 15:10"],
            ),
            (
                "Australia/Lord_Howe",
                "45 1,2 * * *",
                "2026-04-04T14:00:00Z",
                &["04-04 14:45", "04-04 16:15", "04-05 15:15"],
            ),
            ("America/New_York", "15,45 2 * * SUN", "2026-03-07T12:00:00Z", &["03-08 07:00", "03-15 06:15"]),
            ("America/New_York", "30 1 * * *", "2026-10-31T12:00:00Z", &["11-01 05:30", "11-02 06:30"]),
            // Samoa skipped the whole of December 30, 2011.
            ("Pacific/Apia", "0 6,18 30 12 *", "2011-12-29T00:00:00Z", &["12-30 10:00", "12-29 16:00"]),
        ] {
            assert_eq!(times(pattern, zone, from, expected.len()), expected, "{pattern} in {zone}");
        }
    }

    #[test]
    fn recurring_pattern_follows_the_local_clock() {
        for (pattern, from, expected) in [
            ("*/30 * * * *", "2026-03-29T00:15:00Z", &["03-29 00:30", "03-29 01:00", "03-29 01:30"][..]),
            ("30 */2 * * *", "2026-03-28T23:45:00Z", &["03-29 02:30", "03-29 04:30"]),
            ("*/30 2 * * *", "2026-03-28T23:00:00Z", &["03-30 00:00", "03-30 00:30"]),
            (
                "*/30 2 * * *",
                "2026-10-24T23:00:00Z",
                &["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"],
            ),
            ("30 * * * *", "2026-10-24T23:45:00Z", &["10-25 00:30", "10-25 01:30", "10-25 02:30"]),
        ] {
            assert_eq!(times(pattern, "Europe/Berlin", from, expected.len()), expected, "{pattern}");
        }
    }

    #[test]
    fn days_are_combined_as_in_vixie_cron() {
        // 2026-01-01 is a Thursday.
        for (pattern, expected) in [
            ("0 0 13 * FRI", &["01-02", "01-09", "01-13", "01-16"][..]),
            ("0 0 */2 * MON", &["01-05", "01-19", "02-09"]),
            ("0 0 1-31/10 * */3", &["01-11", "01-21", "01-31", "02-01"]),
            ("0 0 * * MON", &["01-05", "01-12"]),
            ("0 0 */10 * *", &["01-11", "01-21", "01-31", "02-01"]),
        ] {
            let found = times(pattern, "UTC", "2026-01-01T12:00:00Z", expected.len());
            let days: Vec<&str> = found.iter().map(|time| &time[..5]).collect();
            assert_eq!(days, expected, "{pattern}");
        }
    }
}
