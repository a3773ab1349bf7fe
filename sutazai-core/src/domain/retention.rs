//! Retention of ended tasks: which ones are removed, and when.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::{Timestamp, Uuid};

use super::calendar::earlier;
use super::id::TaskId;
use super::status::TaskStatus;

/// One retention batch: a range of tasks to scan, and the age beyond which ended ones are removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionBatch {
    /// Scans only tasks with a later key: the last one of the previous batch.
    pub after: TaskId,
    /// Scans only tasks with an earlier key.
    pub before: TaskId,
    /// Removes completed and cancelled tasks that ended before this; `None`: keeps them.
    pub ended_before: Option<DateTime<Utc>>,
    /// Removes failed tasks that ended before this; `None`: keeps them.
    pub failed_before: Option<DateTime<Utc>>,
    /// Maximum number of tasks that the batch scans.
    pub limit: u32,
}

impl RetentionBatch {
    /// Returns whether a task in this state is removed, provided that no other task needs it.
    pub fn takes(&self, status: TaskStatus, finished_at: Option<DateTime<Utc>>) -> bool {
        let before = if status == TaskStatus::Failed { self.failed_before } else { self.ended_before };
        status.has_ended() && finished_at.zip(before).is_some_and(|(finished, before)| finished < before)
    }
}

/// Result of one retention batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of removed tasks.
    pub removed: u64,
    /// The last scanned task, if there may be more to scan.
    pub next: Option<TaskId>,
}

/// Retention policy: how long ended tasks are kept; `None`: forever.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetentionPolicy {
    /// Retention of completed and cancelled tasks.
    pub ended: Option<Duration>,
    /// Retention of failed tasks, the dead letters.
    pub failed: Option<Duration>,
}

impl RetentionPolicy {
    /// Returns the first batch that removes what has expired by `now`; `None` if everything is kept.
    pub fn prune(&self, now: DateTime<Utc>, limit: u32) -> Option<RetentionBatch> {
        let (ended_before, failed_before) =
            (self.ended.map(|keep| earlier(now, keep)), self.failed.map(|keep| earlier(now, keep)));
        let latest = ended_before.max(failed_before)?;
        // Keys begin with their creation time and no task ends before it is created, so a key range bounds the scan
        // without an index on the end time.
        let time = Timestamp::from_unix_time(
            latest.timestamp().unsigned_abs(),
            latest.timestamp_subsec_nanos(),
            0,
            0,
        );
        let before = TaskId(Uuid::new_v7(time));
        Some(RetentionBatch { after: TaskId(Uuid::nil()), before, ended_before, failed_before, limit })
    }
}
