//! Times that callers name.

use chrono::{DateTime, Timelike, Utc};
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// A time of RFC 3339, as precise as every store keeps it: microseconds. So it is told as it was sent, or refused.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(time) = Option::<DateTime<Utc>>::deserialize(deserializer)? else { return Ok(None) };
    // A leap second is a second with more than 999,999,999 nanoseconds to chrono; stores have none.
    if time.nanosecond() % 1_000 != 0 || time.nanosecond() >= 1_000_000_000 {
        let why = "expected a time with at most six decimal places of a second, and no leap second";
        return Err(D::Error::custom(why));
    }
    Ok(Some(time))
}
