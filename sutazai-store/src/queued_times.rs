//! Queued times of a schedule as a column: a JSON array of whole seconds since 1970.

use chrono::{DateTime, Utc};
use sutazai_core::Error;

use crate::columns::{Cell, Kind, Value, unreadable};
use crate::error::StoreResult;

impl Value for Vec<DateTime<Utc>> {
    const KIND: Kind = Kind::Text;

    fn to_cell(&self) -> StoreResult<Cell<'_>> {
        Ok(Cell::Text(queue_text(self).into()))
    }

    fn from_cell(cell: Cell<'_>) -> StoreResult<Self> {
        let seconds: Vec<i64> = serde_json::from_str(&cell.text().ok_or_else(unreadable)?)?;
        let times = seconds.into_iter().map(|seconds| DateTime::from_timestamp(seconds, 0));
        let unreadable = || Error::internal("a queued time of a schedule is out of range");
        Ok(times.collect::<Option<_>>().ok_or_else(unreadable)?)
    }
}

/// Formats the times as JSON; equal times give equal text.
pub(crate) fn queue_text(times: &[DateTime<Utc>]) -> String {
    let seconds: Vec<String> = times.iter().map(|time| time.timestamp().to_string()).collect();
    format!("[{}]", seconds.join(","))
}
