//! The queued times of a schedule as a column: a JSON array of seconds since 1970, which is their precision.

use chrono::{DateTime, Utc};
use sutazai_core::Error;

use crate::fault::Outcome;

/// The times as text: the same text for the same times.
pub(crate) fn queue_text(times: &[DateTime<Utc>]) -> String {
    let seconds: Vec<String> = times.iter().map(|time| time.timestamp().to_string()).collect();
    format!("[{}]", seconds.join(","))
}

/// Reads what [`queue_text`] wrote.
pub(crate) fn queue_of(text: &str) -> Outcome<Vec<DateTime<Utc>>> {
    let seconds: Vec<i64> = serde_json::from_str(text)?;
    let times = seconds.into_iter().map(|seconds| DateTime::from_timestamp(seconds, 0));
    let unreadable = || Error::internal("a queued time of a schedule is out of range");
    Ok(times.collect::<Option<_>>().ok_or_else(unreadable)?)
}
