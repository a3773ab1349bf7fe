//! Event log port: events of tasks, messages between their agents, and wake-ups.

use std::fmt::Debug;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::domain::{
    AgentMessage, ClaimKey, EventLogEntry, EventOffset, NewEvent, Page, PageRequest, TaskEvent, TaskId,
    UserId,
};
use crate::error::Result;

/// Notification that something may have changed; it carries no data, the receiver reads again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeUp {
    /// A task may be due.
    Queue,
    /// This task has new events.
    Task(TaskId),
}

/// Events of tasks: those of one task in their sequence, and those of all tasks in one log.
///
/// # Contract
/// - Event sequences are 1, 2, 3 ... without gaps within a task, also under concurrent appends; `append` under a spent
///   claim is `Conflict` and adds nothing.
/// - The event log contains every event once, of one owner or of all, in an order in which no event appears before a position
///   that was already returned, however many write.
/// - A page of `events_after` or `event_log_after` with several events has at most 1 MB of text; a larger event has a page of
///   its own. A page of `events_after` is empty only at the end.
/// - Parents and children exchange messages, each written in the step that it reports: `TASK` once per requested child,
///   `RESULT` or `ERROR` when it has ended, and `HEARTBEAT` with each renewal, of which only the latest is kept;
///   `agent_messages` lists those of a task in their order, page by page.
/// - A page of `agent_messages` with several messages holds at most a megabyte of payloads; a larger message has a page of its own.
/// - Every status event is counted once ([`Announcer::announce`](super::Announcer::announce)) after its commit, by the process whose call caused it.
/// - A call whose future is no longer polled does not block other calls: everything it holds is released.
/// - Subscribers receive `Queue` after an enqueue, a retry and a released claim, and `Task` after every new event.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// An `append` whose future is dropped has its whole effect or none, possibly after the drop, but its wake-ups may be
/// missing, so that subscribers of this process see it when they poll. The other methods have no effect.
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait EventLog: Debug + Send + Sync + 'static {
    /// Appends events of a running task under its claim.
    ///
    /// # Errors
    /// `Conflict` if the claim is spent.
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()>;

    /// Returns one page of the events of a task with a sequence above `after`, in order, at most `limit`.
    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>>;

    /// Returns one page of the messages between the agent of this task and the agents of its children or parents about
    /// them, in the order in which they were recorded. A child that had already ended is answered at once. Deleting
    /// either task removes them.
    async fn agent_messages(&self, id: TaskId, page: PageRequest<u64>) -> Result<Page<AgentMessage, u64>>;

    /// Returns one page of the event log after this position, in its order, at most `limit` events: those of the tasks of
    /// `owner`, or of all tasks. An event written after another was acknowledged comes after it;
    /// concurrently written events come in either order. Continuing after the last returned position, or after
    /// [`event_log_end`](Self::event_log_end), neither misses nor repeats an event. An event may appear here a moment later than
    /// in its task.
    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Page<EventLogEntry, EventOffset>>;

    /// Returns the end of the event log: no event was returned at a later position, and all later events will be.
    async fn event_log_end(&self) -> Result<EventOffset>;

    /// Returns the position after which the event log is complete: events up to it may have been removed by
    /// [`prune`](super::TaskRecords::prune). The default position if none were.
    async fn event_log_begin(&self) -> Result<EventOffset>;

    /// Returns a stream of wake-ups from now on. A receiver that lags has missed some and must read everything again.
    fn subscribe(&self) -> broadcast::Receiver<WakeUp>;
}
