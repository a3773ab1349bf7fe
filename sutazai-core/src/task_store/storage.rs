//! Storage of tasks: plain reads and writes, in transactions.

use std::fmt::Debug;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};

use super::repository::{DeduplicationKey, Record, WriteSet};
use crate::domain::{AgentMessage, EventLogEntry, EventOffset, Task, TaskId, TaskQuery, TaskStatus, UserId};
use crate::error::Result;

/// Storage whose transactions a [`TransactionalTaskStore`](super::TransactionalTaskStore) uses.
#[async_trait]
pub trait TaskStorage: Debug + Send + Sync + 'static {
    /// An open transaction, which owns what it needs, such as a lock or a connection.
    type Transaction: TaskTransaction;

    /// Begins a transaction, for reads as well as for writes.
    ///
    /// Transactions are serializable: their results are those of running one after the other in the order of their
    /// commits. A storage that detects conflicts instead of locking returns `Busy` from the call that detects one.
    ///
    /// # Errors
    /// Those of the storage.
    async fn begin(&self) -> Result<Self::Transaction>;
}

/// Open transaction over the tasks of a storage, their events, waits and messages.
///
/// It reads its own writes, and nobody else does before [`commit`](Self::commit). Dropping it without a commit rolls it
/// back. No method knows the life cycle of a task: each stores or returns exactly what it is given.
///
/// # Examples
///
/// A storage in memory, complete and as simple as possible. A transaction holds the lock and changes a copy; the commit
/// replaces the original.
///
/// ```
#[doc = include_str!("../../tests/task_store/storage.rs")]
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use sutazai_core::domain::{NewTask, Task};
/// use sutazai_core::ports::{Clock, SystemClock, TaskQueue, TaskRecords};
/// use sutazai_core::task_store::TransactionalTaskStore;
///
/// let store = TransactionalTaskStore::new(MapStorage::default());
/// let new = NewTask::new("hardware-optimizer", serde_json::json!({}));
/// let stored = store.enqueue(vec![Task::pending(new, None, None, SystemClock.now())]).await?;
/// assert_eq!(store.get(stored[0].id).await?.as_ref(), stored.first());
/// # Ok::<(), sutazai_core::Error>(()) }).unwrap();
/// ```
#[async_trait]
pub trait TaskTransaction: Send + 'static {
    /// Returns the existing ones of these tasks, in any order.
    ///
    /// # Errors
    /// Those of the storage.
    async fn load(&mut self, ids: &[TaskId]) -> Result<Vec<Record>>;

    /// Returns the tasks that match the filter, in the order of their ids. It is read only as far as needed.
    fn scan(&mut self, filter: TaskFilter, order: ScanOrder) -> BoxStream<'_, Result<Record>>;

    /// Writes new and changed tasks, and appends the events to the event log and the messages to the messages, both in
    /// their order. A message [replaces](AgentMessage::replaces) an earlier heartbeat. No added task exists yet.
    ///
    /// # Errors
    /// Those of the storage.
    async fn write(&mut self, changes: WriteSet<'_>) -> Result<()>;

    /// Removes these tasks with their events, messages and waits; their children lose their parent.
    ///
    /// # Errors
    /// Those of the storage.
    async fn remove(&mut self, ids: &[TaskId]) -> Result<()>;

    /// Returns the waits of these tasks and the waits for them, those of one parent in the order in which they were
    /// written.
    ///
    /// # Errors
    /// Those of the storage.
    async fn waits(&mut self, tasks: &[TaskId]) -> Result<Vec<TaskWait>>;

    /// Replaces all waits of `parent` by these.
    ///
    /// # Errors
    /// Those of the storage.
    async fn replace_waits(&mut self, parent: TaskId, waits: Vec<TaskWait>) -> Result<()>;

    /// Returns the events that match the filter, in the order of the event log. It is read only as far as needed.
    fn events(&mut self, filter: EventFilter) -> BoxStream<'_, Result<EventLogEntry>>;

    /// Returns the messages whose parent or child is `task` and whose number is above `after`, each with its number. The
    /// numbers are 1, 2, 3 ... in the order of writing, with gaps. It is read only as far as needed.
    fn messages(&mut self, task: TaskId, after: u64) -> BoxStream<'_, Result<(u64, AgentMessage)>>;

    /// Returns the begin and the end of the event log.
    ///
    /// # Errors
    /// Those of the storage.
    async fn event_log_bounds(&mut self) -> Result<EventLogBounds>;

    /// Stores the begin of the event log.
    ///
    /// # Errors
    /// Those of the storage.
    async fn set_event_log_begin(&mut self, begin: EventOffset) -> Result<()>;

    /// Makes all changes of the transaction visible and durable, or none of them.
    ///
    /// # Errors
    /// Those of the storage; nothing has changed then.
    async fn commit(self) -> Result<()>;
}

/// Filter of a scan over tasks.
#[derive(Debug, Clone, PartialEq)]
pub enum TaskFilter {
    /// Tasks that match the query and are older than its cursor; its limit does not apply.
    Query(TaskQuery),
    /// Tasks whose ids lie between these two.
    Between(TaskId, TaskId),
    /// The task of this owner with this idempotency key.
    IdempotencyKey(Option<UserId>, String),
    /// The pending or processing task with this deduplication key.
    DeduplicationKey(DeduplicationKey),
}

impl TaskFilter {
    /// Returns a filter of all tasks in this status.
    pub(super) fn status(status: TaskStatus) -> Self {
        Self::Query(TaskQuery { statuses: vec![status], ..TaskQuery::default() })
    }

    /// Returns whether the task matches the filter.
    pub fn matches(&self, task: &Task) -> bool {
        match self {
            Self::Query(query) => {
                query.page.cursor.is_none_or(|cursor| task.id < cursor) && query.matches(task)
            }
            Self::Between(after, before) => task.id > *after && task.id < *before,
            Self::IdempotencyKey(owner, key) => {
                task.owner == *owner && task.idempotency_key.as_ref() == Some(key)
            }
            Self::DeduplicationKey(key) => {
                !task.status.has_ended() && DeduplicationKey::of(task).as_ref() == Some(key)
            }
        }
    }
}

/// Order of a scan over tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOrder {
    /// Ascending ids: the oldest task comes first.
    OldestFirst,
    /// Descending ids: the newest task comes first.
    NewestFirst,
}

/// Filter of a read of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventFilter {
    /// Events of one task with a sequence above this one.
    OfTask(TaskId, u64),
    /// Events at later positions than this one: of the tasks of an owner, or of all tasks.
    Log(Option<UserId>, EventOffset),
}

impl EventFilter {
    /// Returns whether the event matches the filter.
    pub fn matches(&self, entry: &EventLogEntry) -> bool {
        match self {
            Self::OfTask(task, after) => entry.event.task_id == *task && entry.event.sequence > *after,
            Self::Log(owner, after) => entry.position > *after && (owner.is_none() || entry.owner == *owner),
        }
    }
}

/// Entry of a task's last wait: one child that it requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskWait {
    /// Task that waits, or has waited.
    pub parent: TaskId,
    /// Task that it waits for.
    pub child: TaskId,
    /// True until the child has ended.
    pub open: bool,
}

impl TaskWait {
    /// Returns whether this task is one of the two: the parent or the child.
    pub fn is_about(&self, task: TaskId) -> bool {
        self.parent == task || self.child == task
    }
}

/// Bounds of the event log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLogBounds {
    /// The position that was stored last as the begin; the default position if none was.
    pub begin: EventOffset,
    /// The position of the latest event, also if it was removed; the default position if there was none.
    pub end: EventOffset,
}
