//! Which ended tasks are removed.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::{Timestamp, Uuid};

use super::calendar::earlier;
use super::id::TaskId;
use super::status::TaskStatus;

/// A look at some tasks, and which of them are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prune {
    /// Only tasks with a later key: where the look before ended.
    pub after: TaskId,
    /// Only tasks with an earlier key.
    pub before: TaskId,
    /// Completed and cancelled ones go that ended before this; none: they stay.
    pub ended_before: Option<DateTime<Utc>>,
    /// Failed ones go that ended before this; none: they stay.
    pub failed_before: Option<DateTime<Utc>>,
    /// At most so many are looked at.
    pub limit: u32,
}

impl Prune {
    /// Whether a task that stands so is to go, as far as no other needs it.
    pub fn takes(&self, status: TaskStatus, finished_at: Option<DateTime<Utc>>) -> bool {
        let before = if status == TaskStatus::Failed { self.failed_before } else { self.ended_before };
        status.has_ended() && finished_at.zip(before).is_some_and(|(finished, before)| finished < before)
    }
}

/// What a look came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many tasks were removed.
    pub removed: u64,
    /// The last that was looked at, if there may be more.
    pub next: Option<TaskId>,
}

/// How long tasks are kept once they have ended; none: for ever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeepTasks {
    /// Completed and cancelled ones.
    pub ended: Option<Duration>,
    /// Failed ones: the dead letter.
    pub failed: Option<Duration>,
}

impl KeepTasks {
    /// The first look at what has been kept for long enough by `now`; none when everything is kept.
    pub fn prune(&self, now: DateTime<Utc>, limit: u32) -> Option<Prune> {
        let (ended_before, failed_before) =
            (self.ended.map(|keep| earlier(now, keep)), self.failed.map(|keep| earlier(now, keep)));
        let latest = ended_before.max(failed_before)?;
        // Keys begin with the time at which they were made, and no task ends before that.
        let time = Timestamp::from_unix_time(
            latest.timestamp().unsigned_abs(),
            latest.timestamp_subsec_nanos(),
            0,
            0,
        );
        let before = TaskId(Uuid::new_v7(time));
        Some(Prune { after: TaskId(Uuid::nil()), before, ended_before, failed_before, limit })
    }
}
