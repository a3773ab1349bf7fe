//! Times that callers name.

use chrono::{DateTime, Timelike, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A time of RFC 3339, as precise as every store keeps it: microseconds. So it is told as it was sent, or refused.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let expected = |_| D::Error::custom("expected a time such as 2026-01-31T12:00:00Z");
    let time = DateTime::parse_from_rfc3339(&text).map_err(expected)?.to_utc();
    // A leap second is a second with more than 999,999,999 nanoseconds to chrono; stores have none.
    if time.nanosecond() % 1_000 != 0 || time.nanosecond() >= 1_000_000_000 {
        let why = "expected a time with at most six decimal places of a second, and no leap second";
        return Err(D::Error::custom(why));
    }
    Ok(Some(time))
}
