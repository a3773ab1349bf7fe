//! Queued times of a schedule as a column: a JSON array of whole seconds since 1970.

use chrono::{DateTime, Utc};
use sutazai_core::Error;

use crate::error::StoreResult;

/// Formats the times as JSON; equal times give equal text.
pub(crate) fn queue_text(times: &[DateTime<Utc>]) -> String {
    let seconds: Vec<String> = times.iter().map(|time| time.timestamp().to_string()).collect();
    format!("[{}]", seconds.join(","))
}

/// Parses the text that [`queue_text`] has written.
pub(crate) fn queue_of(text: &str) -> StoreResult<Vec<DateTime<Utc>>> {
    let seconds: Vec<i64> = serde_json::from_str(text)?;
    let times = seconds.into_iter().map(|seconds| DateTime::from_timestamp(seconds, 0));
    let unreadable = || Error::internal("a queued time of a schedule is out of range");
    Ok(times.collect::<Option<_>>().ok_or_else(unreadable)?)
}
