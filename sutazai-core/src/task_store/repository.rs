//! Repository of task rows: the reads and writes that the unit of work needs of a database, over an open transaction.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::{AgentMessage, Task, TaskError, TaskEvent, TaskId, UserId};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::CommitEffects;

/// A task together with columns that only the store knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The task without these columns.
    pub task: Task,
    /// Sequence number of its latest event.
    pub last_sequence: u64,
    /// True if another task waits for this one.
    pub awaited: bool,
    /// Columns whose content cannot be parsed, because another program has written them or the disk is
    /// corrupt. They are found by reading, and so not stored.
    #[serde(skip)]
    pub damaged: Vec<&'static str>,
}

impl Record {
    /// Creates the record of a task that is not in the store yet.
    pub fn new(task: Task) -> Self {
        Self { task, last_sequence: 0, awaited: false, damaged: Vec::new() }
    }

    /// Marks these columns as unreadable and sets the task's error accordingly. A claim then ends the task as failed.
    #[must_use]
    pub fn with_damage(mut self, damaged: Vec<&'static str>) -> Self {
        self.damaged = damaged;
        self.task.error = self.damage().or(self.task.error);
        self
    }

    /// Returns the error to record if some columns cannot be read, `None` if the task can be run.
    pub fn damage(&self) -> Option<TaskError> {
        if self.damaged.is_empty() {
            return None;
        }
        let message = format!("the stored task is damaged: cannot read its {}", self.damaged.join(", "));
        Some(TaskError { kind: ErrorKind::Internal, message })
    }
}

/// Deduplication key: at most one pending or processing task has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeduplicationKey {
    /// Owner of the task; `None` without identity.
    pub owner: Option<UserId>,
    /// Name of the agent that runs the task.
    pub agent: String,
    /// Text of the key, chosen by the caller.
    pub key: String,
}

impl DeduplicationKey {
    /// Returns the key of this task, if it has one.
    pub fn of(task: &Task) -> Option<Self> {
        let key = task.unique_key.clone()?;
        Some(Self { owner: task.owner, agent: task.agent.clone(), key })
    }
}

/// Write set of one transaction, applied in one step.
#[derive(Debug)]
pub struct WriteSet<'c> {
    /// New tasks; their first events are among `events`.
    pub added: Vec<&'c Record>,
    /// Existing tasks with changed columns.
    pub changed: Vec<&'c Record>,
    /// Events with the owner of their task, in the order of their sequences within each task.
    pub events: &'c [(Option<UserId>, TaskEvent)],
    /// Messages about tasks that exist or are among `added`, in their order.
    pub messages: &'c [AgentMessage],
}

/// Access to the task rows of an open transaction.
///
/// A database implements it with statements of its own, and applies commands of the life cycle through a
/// [`UnitOfWork`](super::UnitOfWork).
#[async_trait]
pub trait TaskRepository: Send {
    /// Error of the database. It may carry more than an [`Error`], such as whether a retry may succeed.
    type Error: From<Error> + Send;

    /// Loads and locks the existing ones of these tasks: nobody else changes them before the transaction
    /// ends.
    ///
    /// # Errors
    /// Those of the database.
    async fn load(&mut self, ids: &[TaskId]) -> Result<Vec<Record>, Self::Error>;

    /// Returns the task of this owner with this idempotency key, without locking it.
    ///
    /// # Errors
    /// Those of the database.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> Result<Option<TaskId>, Self::Error>;

    /// Returns the pending or processing task with this deduplication key, without locking it.
    ///
    /// # Errors
    /// Those of the database.
    async fn active_with_key(&mut self, key: &DeduplicationKey) -> Result<Option<TaskId>, Self::Error>;

    /// Replaces the tasks that `parent` waits for; those that are not in `open` have ended already.
    ///
    /// # Errors
    /// Those of the database.
    async fn set_waits(
        &mut self,
        parent: TaskId,
        children: &[TaskId],
        open: &HashSet<TaskId>,
    ) -> Result<(), Self::Error>;

    /// Returns the children that these tasks requested in their last wait, in order, as pairs of task and child.
    ///
    /// # Errors
    /// Those of the database.
    async fn waits(&mut self, parents: &[TaskId]) -> Result<Vec<(TaskId, TaskId)>, Self::Error>;

    /// Closes the waits for `child` and returns the tasks that waited for it.
    ///
    /// # Errors
    /// Those of the database.
    async fn close_waits(&mut self, child: TaskId) -> Result<HashSet<TaskId>, Self::Error>;

    /// Writes tasks, events and messages. Changes come first: an ended task frees its deduplication key for
    /// an added one.
    ///
    /// # Errors
    /// Those of the database, and `Conflict` for an added task that exists already.
    async fn write(&mut self, flush: WriteSet<'_>) -> Result<(), Self::Error>;

    /// Keeps these effects until after the commit, when they are announced.
    fn after_commit(&mut self, effects: CommitEffects);
}
