//! Parsing of times in requests.

use std::fmt;

use chrono::{DateTime, Timelike, Utc};
use serde::Deserializer;
use serde::de::{Error, Visitor};

/// Parses an RFC 3339 time with at most microsecond precision. Every store keeps microseconds, so a time is either
/// returned exactly as it was sent, or rejected.
pub fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let Some(time) = deserializer.deserialize_option(Rfc3339)? else { return Ok(None) };
    // chrono represents a leap second as more than 999,999,999 nanoseconds; no store can represent it.
    if time.nanosecond() % 1_000 != 0 || time.nanosecond() >= 1_000_000_000 {
        let why = "expected a time with at most six decimal places of a second, and no leap second";
        return Err(D::Error::custom(why));
    }
    Ok(Some(time))
}

/// Visitor that accepts RFC 3339 only; chrono's own `Deserialize` also accepts other forms.
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
