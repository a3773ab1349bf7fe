//! Task records port: reading tasks, and changes that people ask for.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{
    Page, Pruned, RetentionBatch, Task, TaskId, TaskQuery, TaskStatistics, TaskSummary, UserId,
};
use crate::error::Result;

/// Records of tasks, for people and programs.
///
/// # Contract
/// - `cancel` ends a pending task and its children at once, marks a running one, and is `Conflict` for an ended one,
///   which stays unchanged.
/// - `retry` makes a failed task pending with no failures counted; any other status is `Conflict`, and so is a unique key
///   that another unfinished task has.
/// - `delete` removes an ended task with its events, and its children lose their parent; an unfinished one is
///   `Conflict`, an unknown one `NotFound`.
/// - `delete_all` removes all tasks of one owner in any status with their events and messages and returns their number;
///   their claims are lost.
/// - `prune` removes tasks that ended before the given times, with their events, page by page in the order of their
///   keys, except those that an unfinished task waits for;
///   [`event_log_begin`](super::EventLog::event_log_begin) then is the position of the last removed event.
/// - `list` is newest first, filters by every field of the query, and pages without losing or repeating a task while
///   others are added.
/// - A page of `list` with several tasks has at most 1 MB of payloads, results and states; a larger task has a page of
///   its own.
/// - `summaries` lists the same tasks in the same order without their payloads, results and states, which do not count
///   towards the size of a page.
/// - `statistics` counts tasks by agent and status: those of one owner, or all.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait TaskRecords: Debug + Send + Sync + 'static {
    /// Returns the task, if there is one.
    async fn get(&self, id: TaskId) -> Result<Option<Task>>;

    /// Returns one page of the tasks that match the query.
    async fn list(&self, query: &TaskQuery) -> Result<Page<Task, TaskId>>;

    /// Returns one page of summaries of the tasks that match the query.
    async fn summaries(&self, query: &TaskQuery) -> Result<Page<TaskSummary, TaskId>>;

    /// Counts the tasks of an owner, or of all, by agent and status; reads every one of them.
    async fn statistics(&self, owner: Option<UserId>) -> Result<TaskStatistics>;

    /// Requests cancellation of a task; returns it as it is afterwards.
    ///
    /// # Errors
    /// `NotFound` for an unknown task; `Conflict` if it has ended.
    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task>;

    /// Returns a failed task to the queue; returns it as it is afterwards.
    ///
    /// # Errors
    /// `NotFound` for an unknown task; `Conflict` if it has not failed, or another unfinished task has its
    /// deduplication key.
    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task>;

    /// Removes an ended task with its events and agent messages.
    ///
    /// # Errors
    /// `NotFound` for an unknown task; `Conflict` if it has not ended.
    async fn delete(&self, id: TaskId) -> Result<()>;

    /// Removes all tasks of an owner with their events and agent messages; returns their number.
    ///
    /// # Errors
    /// Those of every store; tasks that were removed by then stay removed.
    ///
    /// # Cancel safety
    /// Tasks are removed in batches, so a dropped future may have removed some of them; another call removes the
    /// rest.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;

    /// Removes one batch of tasks that ended long ago. If several processes call it concurrently, one may do all the
    /// work while the others find nothing to do.
    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned>;
}
