//! Repository of task rows: what the unit of work needs of a database, implemented by each over an open
//! transaction.

use std::collections::HashSet;

use async_trait::async_trait;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{AgentMessage, Task, TaskError, TaskEvent, TaskId, UserId};
use sutazai_core::ports::CommitEffects;

use crate::error::StoreResult;

/// A task together with columns that only the store knows.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The task without these columns.
    pub(crate) task: Task,
    /// Sequence number of its latest event.
    pub(crate) last_sequence: u64,
    /// True if another task waits for this one.
    pub(crate) awaited: bool,
    /// Columns whose content cannot be parsed, because another program has written them or the disk is
    /// corrupt.
    pub(crate) damaged: Vec<&'static str>,
}

impl Record {
    /// Creates the record of a task that is not in the store yet.
    pub(crate) fn new(task: Task) -> Self {
        Self { task, last_sequence: 0, awaited: false, damaged: Vec::new() }
    }

    /// Marks these columns as unreadable and sets the task's error accordingly.
    pub(crate) fn with_damage(mut self, damaged: Vec<&'static str>) -> Self {
        self.damaged = damaged;
        self.task.error = self.damage().or(self.task.error);
        self
    }

    /// Returns the error to record if some columns cannot be read, `None` if the task can be run.
    pub(crate) fn damage(&self) -> Option<TaskError> {
        if self.damaged.is_empty() {
            return None;
        }
        let message = format!("the stored task is damaged: cannot read its {}", self.damaged.join(", "));
        Some(TaskError { kind: ErrorKind::Internal, message })
    }
}

/// Deduplication key: at most one pending or processing task has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeduplicationKey {
    /// Owner of the task; `None` without identity.
    pub(crate) owner: Option<UserId>,
    /// Name of the agent that runs the task.
    pub(crate) agent: String,
    /// Text of the key, chosen by the caller.
    pub(crate) key: String,
}

impl DeduplicationKey {
    /// Returns the key of this task, if it has one.
    pub(crate) fn of(task: &Task) -> Option<Self> {
        let key = task.unique_key.clone()?;
        Some(Self { owner: task.owner, agent: task.agent.clone(), key })
    }
}

/// Write set of one transaction, applied in one step.
#[derive(Debug)]
pub(crate) struct WriteSet<'c> {
    /// New tasks; their first events are among `events`.
    pub(crate) added: Vec<&'c Record>,
    /// Existing tasks with changed columns.
    pub(crate) changed: Vec<&'c Record>,
    /// Events with the owner of their task, in the order of their sequences within each task.
    pub(crate) events: &'c [(Option<UserId>, TaskEvent)],
    /// Messages about tasks that exist or are among `added`.
    pub(crate) messages: &'c [AgentMessage],
}

/// Access to the task rows of an open transaction.
#[async_trait]
pub(crate) trait TaskRepository: Send {
    /// Loads and locks the existing ones of these tasks: nobody else changes them before the transaction
    /// ends.
    async fn load(&mut self, ids: &[TaskId]) -> StoreResult<Vec<Record>>;

    /// Returns the task of this owner with this idempotency key, without locking it.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> StoreResult<Option<TaskId>>;

    /// Returns the pending or processing task with this deduplication key, without locking it.
    async fn standing(&mut self, key: &DeduplicationKey) -> StoreResult<Option<TaskId>>;

    /// Replaces the tasks that `parent` waits for; those that are not in `open` have ended already.
    async fn set_waits(
        &mut self,
        parent: TaskId,
        children: &[TaskId],
        open: &HashSet<TaskId>,
    ) -> StoreResult<()>;

    /// Returns what these tasks asked for in their last wait, in order, as pairs of task and child.
    async fn waits(&mut self, parents: &[TaskId]) -> StoreResult<Vec<(TaskId, TaskId)>>;

    /// Closes the waits for `child` and returns the tasks that waited for it.
    async fn close_waits(&mut self, child: TaskId) -> StoreResult<HashSet<TaskId>>;

    /// Writes tasks, events and messages. Changes come first: an ended task frees its deduplication key for
    /// an added one.
    async fn write(&mut self, flush: WriteSet<'_>) -> StoreResult<()>;

    /// Keeps these effects until after the commit, when they are announced.
    fn after_commit(&mut self, effects: CommitEffects);
}
