//! Validation of text lengths and times, shared by all use cases.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use crate::error::{Error, Result};

/// Longest accepted age of a due time: 1 day, because clocks differ and a request may have been queued.
const MAX_PAST: TimeDelta = TimeDelta::days(1);
/// Longest accepted distance of a due time in the future: 10 years.
const MAX_FUTURE: TimeDelta = TimeDelta::days(3_653);

/// Requires `least` to `most` characters and no NUL character, which PostgreSQL cannot store in a text.
///
/// # Errors
/// `InvalidInput` naming the field.
pub(crate) fn length(field: &str, text: &str, least: usize, most: usize) -> Result<()> {
    let count = text.chars().count();
    if text.contains('\0') {
        return Err(Error::invalid(field, "expected a text without a zero character"));
    }
    if (least..=most).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("expected {least} to {most} characters, got {count}")))
}

/// Requires a due time between one day ago and ten years from now. Databases support different ranges, and a time far
/// outside of them would fail or change in some.
///
/// # Errors
/// `InvalidInput` naming the field.
pub(crate) fn time(field: &str, at: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    let first = now.checked_sub_signed(MAX_PAST).unwrap_or(DateTime::<Utc>::MIN_UTC);
    let last = now.checked_add_signed(MAX_FUTURE).unwrap_or(DateTime::<Utc>::MAX_UTC);
    if (first..=last).contains(&at) {
        return Ok(());
    }
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let why = format!("expected a time from {} to {}, got {}", text(first), text(last), text(at));
    Err(Error::invalid(field, why))
}

/// Clamps a time filter of a listing to 1970 to 2200, the range that every database supports: nothing is listed outside
/// of it.
pub(crate) fn time_of_listing(at: DateTime<Utc>) -> DateTime<Utc> {
    const LAST_SECOND: i64 = 7_258_118_400;
    let last = DateTime::from_timestamp(LAST_SECOND, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
    at.clamp(DateTime::UNIX_EPOCH, last)
}

#[cfg(test)]
mod tests {
    use chrono::Datelike;

    use super::*;

    #[test]
    fn time_lies_between_a_day_ago_and_ten_years_from_now() {
        let now = DateTime::from_timestamp(1_767_225_600, 0).unwrap();
        for good in [TimeDelta::zero(), TimeDelta::days(-1), TimeDelta::days(3_653)] {
            assert!(time("run_at", now + good, now).is_ok(), "{good}");
        }
        let (early, late) = (now - TimeDelta::seconds(86_401), now + TimeDelta::days(3_654));
        for bad in [early, late, DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            let e = time("run_at", bad, now).unwrap_err();
            assert_eq!(e.field(), Some("run_at"));
            assert!(e.message().contains("from 2025-12-31T00:00:00Z to 2036-01-02T00:00:00Z"), "{e}");
        }
        for bad in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!((1970..=2200).contains(&time_of_listing(bad).year()), "{bad}");
            assert!(time("run_at", bad, bad).is_ok(), "a clock at the end of time does not panic");
        }
        assert_eq!(time_of_listing(now), now);
    }
}
