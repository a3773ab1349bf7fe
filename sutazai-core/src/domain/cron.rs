//! When a schedule is due: a cron pattern in a time zone.
//!
//! The crate croner reads patterns and finds the days and times that they name. Where the clocks change, this module decides:
//! croner treats a list of times as if they came every so often.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::{Error, Result};

/// The longest pattern, in characters.
const LONGEST: usize = 100;
/// No clock has ever shown more than this before or after UTC: Manila and Juneau were 15 hours and some minutes off.
const MAX_OFFSET: TimeDelta = TimeDelta::hours(16);

/// The times of a cron pattern of five fields in a time zone of the IANA database.
///
/// A pattern whose minute or hour begins with `*` is due every so often: whenever the clock shows such a time, so not at all
/// in the hour that is left out where the clocks go forward, and twice in the hour that comes twice where they go back. Any
/// other pattern names fixed times, one by one, in lists and ranges too. Each of them is due once, at the first instant at
/// which the clock shows it or has passed it: at the end of an hour that is left out, and in the first of two equal hours.
///
/// Where both the day of the month and the day of the week are given, either will do. Where one of them begins with `*`, such
/// as `*/2`, a day has to fit both. This is what Vixie cron does.
#[derive(Debug, Clone)]
pub struct CronTimes {
    pattern: croner::Cron,
    zone: Tz,
    /// Whether the pattern names fixed times.
    is_fixed: bool,
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
            None => Err(refused("that never comes".into())),
        }
    }

    /// The first time after this one; none when there is none any more.
    pub fn after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let shown = time.with_timezone(&self.zone);
        if !self.is_fixed {
            return self.pattern.find_next_occurrence(&shown, false).ok().map(|next| next.to_utc());
        }
        // The pattern is followed on a clock that nobody changes, and each of its times is then put where the clock of the
        // zone shows it. Those of an hour that comes again have been due already.
        let mut local = shown.naive_local().and_utc();
        loop {
            local = self.pattern.find_next_occurrence(&local, false).ok()?;
            let due = self.first_shown(local.naive_utc())?;
            if due > time {
                return Some(due);
            }
        }
    }

    /// The first instant at which the clock shows this time, or one behind it where it is left out.
    fn first_shown(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        match self.zone.from_local_datetime(&local) {
            MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => Some(time.to_utc()),
            MappedLocalTime::None => {
                // The clock shows less at the one end and more at the other, with one change between them.
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

    #[test]
    fn each_time_of_a_list_or_a_range_is_one_fixed_time() {
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
    fn fixed_times_are_kept_in_every_zone() {
        for (zone, pattern, from, expected) in [
            // No midnight in Beirut on 2026-03-29; on 2026-10-24 its 23rd hour comes twice.
            (
                "Asia/Beirut",
                "0 0,12 * * *",
                "2026-03-28T12:00:00Z",
                &["03-28 22:00", "03-29 09:00", "03-29 21:00"][..],
            ),
            ("Asia/Beirut", "0 0,12 * * *", "2026-10-24T12:00:00Z", &["10-24 22:00", "10-25 10:00"]),
            ("Asia/Beirut", "30 23 * * *", "2026-10-24T12:00:00Z", &["10-24 20:30", "10-25 21:30"]),
            // Half an hour, from 02:00 to 02:30 and back.
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
            // Samoa left out the whole 30th of December 2011.
            ("Pacific/Apia", "0 6,18 30 12 *", "2011-12-29T00:00:00Z", &["12-30 10:00", "12-29 16:00"]),
        ] {
            assert_eq!(times(pattern, zone, from, expected.len()), expected, "{pattern} in {zone}");
        }
    }

    #[test]
    fn what_begins_with_a_star_goes_by_what_the_clock_shows() {
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
    fn days_are_combined_as_vixie_cron_does() {
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
