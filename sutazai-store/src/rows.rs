//! What the rules of changing tasks need of a database: each adapter has one implementation over an open transaction.

use std::collections::HashSet;

use async_trait::async_trait;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{AgentMessage, Task, TaskError, TaskEvent, TaskId, TaskStatus, UserId};
use sutazai_core::ports::WakeUp;

use crate::fault::Outcome;

/// A task with what only the store knows of it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The task.
    pub(crate) task: Task,
    /// The sequence of its latest event.
    pub(crate) last_sequence: u64,
    /// Whether another task waits for it.
    pub(crate) awaited: bool,
    /// The columns whose content cannot be read. Somebody else than the program has written them, or the disk has lost them.
    pub(crate) damaged: Vec<&'static str>,
}

impl Record {
    /// A task that is not in the store yet.
    pub(crate) fn new(task: Task) -> Self {
        Self { task, last_sequence: 0, awaited: false, damaged: Vec::new() }
    }

    /// Marks these columns as unreadable, and shows in the task's error that they are.
    pub(crate) fn with_damage(mut self, damaged: Vec<&'static str>) -> Self {
        self.damaged = damaged;
        self.task.error = self.damage().or(self.task.error);
        self
    }

    /// Why the task cannot be run, if it was stored with columns that cannot be read.
    pub(crate) fn damage(&self) -> Option<TaskError> {
        if self.damaged.is_empty() {
            return None;
        }
        let message = format!("the stored task is damaged: cannot read its {}", self.damaged.join(", "));
        Some(TaskError { kind: ErrorKind::Internal, message })
    }
}

/// What no other pending or processing task may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct UniqueKey {
    /// Whose it is.
    pub(crate) owner: Option<UserId>,
    /// Who does it.
    pub(crate) agent: String,
    /// The key.
    pub(crate) key: String,
}

impl UniqueKey {
    /// None for a task that has no such key.
    pub(crate) fn of(task: &Task) -> Option<Self> {
        let key = task.unique_key.clone()?;
        Some(Self { owner: task.owner, agent: task.agent.clone(), key })
    }
}

/// What one write is to change, all at once.
#[derive(Debug)]
pub(crate) struct Flush<'c> {
    /// New tasks; their first events are among `events`.
    pub(crate) added: Vec<&'c Record>,
    /// Tasks that are there.
    pub(crate) changed: Vec<&'c Record>,
    /// Each with the owner of its task; in the order of their sequences within each task.
    pub(crate) events: &'c [(Option<UserId>, TaskEvent)],
    /// About tasks that are there or among `added`.
    pub(crate) messages: &'c [AgentMessage],
}

/// The rows of an open transaction.
#[async_trait]
pub(crate) trait Rows: Send {
    /// These tasks, as far as they exist. Nobody else changes them before the transaction ends.
    async fn load(&mut self, ids: &[TaskId]) -> Outcome<Vec<Record>>;

    /// The task of this owner with this idempotency key.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> Outcome<Option<TaskId>>;

    /// The task with this key that is pending or processing.
    async fn standing(&mut self, key: &UniqueKey) -> Outcome<Option<TaskId>>;

    /// Puts what `parent` waits for in the place of what it waited for before; those not in `open` have ended.
    async fn set_waits(&mut self, parent: TaskId, children: &[TaskId], open: &HashSet<TaskId>)
    -> Outcome<()>;

    /// What these tasks asked for last, in order: pairs of a task and its child.
    async fn waits(&mut self, parents: &[TaskId]) -> Outcome<Vec<(TaskId, TaskId)>>;

    /// Notes that `child` is waited for no more; gives those who did.
    async fn close_waits(&mut self, child: TaskId) -> Outcome<HashSet<TaskId>>;

    /// Writes tasks, events and messages; the changes first, since an ended task frees its unique key for an added one.
    async fn write(&mut self, flush: Flush<'_>) -> Outcome<()>;

    /// Keeps these for after the commit: who is to be woken, and which statuses tasks of which agents have entered.
    fn tell(&mut self, wake_ups: Vec<WakeUp>, entered: Vec<(String, TaskStatus)>);
}
