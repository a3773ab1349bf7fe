//! Times that callers name.

use std::fmt;

use chrono::{DateTime, Timelike, Utc};
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// A time of RFC 3339, as precise as every store keeps it: microseconds. So it is told as it was sent, or refused.
pub(crate) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(time) = deserializer.deserialize_option(Rfc3339)? else { return Ok(None) };
    // A leap second is a second with more than 999,999,999 nanoseconds to chrono; stores have none.
    if time.nanosecond() % 1_000 != 0 || time.nanosecond() >= 1_000_000_000 {
        let why = "expected a time with at most six decimal places of a second, and no leap second";
        return Err(D::Error::custom(why));
    }
    Ok(Some(time))
}

/// Reads no other form than that of the RFC; chrono's own reader takes more.
struct Rfc3339;

impl<'de> Visitor<'de> for Rfc3339 {
    type Value = Option<DateTime<Utc>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an RFC 3339 formatted date and time string")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        DateTime::parse_from_rfc3339(text).map(|time| Some(time.to_utc())).map_err(E::custom)
    }
}
