//! Task store port: queue, task records and event log in one port, because they change in one transaction.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

use crate::domain::{
    AgentMessagePage, Backlog, Claim, ClaimKey, ConcurrencyLimits, EventLogPage, EventOffset, InstanceId,
    NewEvent, OutcomeRecord, Pruned, RetentionBatch, Task, TaskEvent, TaskId, TaskPage, TaskQuery,
    TaskStatistics, UserId,
};
use crate::error::{Error, Result};

/// Request of an instance for due tasks.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimRequest {
    /// Instance that will hold the claims.
    pub worker: InstanceId,
    /// Only tasks of these agents.
    pub agents: Vec<String>,
    /// Maximum number of claims.
    pub limit: u32,
    /// Duration of the lease from `now`.
    pub lease: Duration,
    /// Current time, by the clock of the engine.
    pub now: DateTime<Utc>,
    /// Concurrency limits over all processes.
    pub limits: ConcurrencyLimits,
    /// Round-robin cursor: the owner of the last claimed task; claiming continues after this owner.
    pub after: Option<UserId>,
}

/// State of a lease after its renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// The lease was renewed.
    Held,
    /// The lease was renewed, but cancellation of the task was requested.
    CancelRequested,
    /// The claim is no longer held by this instance: it must stop and record nothing.
    Lost,
}

/// Notification that something may have changed; it carries no data, the receiver reads again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeUp {
    /// A task may be due.
    Queue,
    /// This task has new events.
    Task(TaskId),
}

/// Store of tasks, their queue and their events.
///
/// # Contract
/// - An enqueued task is pending, can be read back with all its fields, and has one event: `pending`, sequence 1.
/// - A task enqueued as claimed ([`Task::claim`], attempt 1) is held under that claim at once and has a second event:
///   `processing`.
/// - Enqueueing a known idempotency key of the same owner returns the first task and adds nothing; for another owner it
///   adds a task.
/// - While a task with a unique key is pending or processing, enqueueing that key for its owner and agent returns it,
///   also concurrently; `retry` while another task has the key is `Conflict`.
/// - A batch is enqueued completely or not at all.
/// - With `max_pending`, a task that gives its owner more pending tasks than that, not counting those that wait for
///   children, is `RateLimited` with its whole batch, also under concurrency; known keys and tasks without an owner are
///   exempt.
/// - The tasks of an owner are claimed in the order of their scheduling key ([`Task::scheduling_key`]), never before `run_at`,
///   never for other agents than requested, never while they wait for children.
/// - Claiming is round-robin across owners in the order of their keys, starting after `after`, one task per owner and
///   round, until `limit` is reached or nothing is due; tasks without an owner form one owner that comes first.
/// - No claim exceeds `limits` per owner or agent, also under concurrent claims with the same limits, and every claim
///   uses what they allow.
/// - A task is claimed by one instance at a time, also under concurrency; the claim counts an attempt, sets the lease
///   and adds the event `processing`.
/// - `renew` extends a held lease, reports a requested cancellation, and reports that a spent or foreign claim is lost.
/// - `record_outcomes` under a valid claim records the outcome and its event in one step; under a spent claim it is `Conflict`
///   and changes nothing; one bad entry of a batch does not affect the others.
/// - `Completed`, `Failed` and `Cancelled` end the task and set `finished_at`; `Retry` makes it pending at its time and
///   counts a failure; `Released` makes it pending at once without counting one.
/// - `Wait` enqueues the children and keeps the parent from being claimed until the last child has ended; then its
///   claim has the state and the children in order. Ending the parent cancels its unfinished children.
/// - Parents and children exchange messages, each written in the step that it reports: `TASK` once per requested child,
///   `RESULT` or `ERROR` when it has ended, and `HEARTBEAT` with each renewal, of which only the latest is kept;
///   `agent_messages` lists those of a task in their order, page by page.
/// - A page of `agent_messages` with several messages holds at most a megabyte of payloads; a larger message has a page of its own.
/// - `reap` makes tasks with expired leases pending and counts a failure; without an attempt left it ends them as
///   failed (kind `timeout`), with a requested cancellation as cancelled.
/// - `cancel` ends a pending task and its children at once, marks a running one, and is `Conflict` for an ended one,
///   which stays unchanged.
/// - `retry` makes a failed task pending with no failures counted; any other status is `Conflict`.
/// - `delete` removes an ended task with its events, and its children lose their parent; an unfinished one is
///   `Conflict`, an unknown one `NotFound`.
/// - `delete_all` removes all tasks of one owner in any status with their events and messages and returns their number;
///   their claims are lost.
/// - `prune` removes tasks that ended before the given times, with their events, page by page in the order of their
///   keys, except those that an unfinished task waits for; `event_log_begin` then is the position of the last removed event.
/// - Event sequences are 1, 2, 3 ... without gaps within a task, also under concurrent appends; `append` under a spent
///   claim is `Conflict` and adds nothing.
/// - The event log contains every event once, of one owner or of all, in an order in which no event appears before a position
///   that was already returned, however many write.
/// - A page of `events_after` or `event_log_after` with several events has at most 1 MB of text; a larger event has a page of
///   its own. A page of `events_after` is empty only at the end.
/// - `list` is newest first, filters by every field of the query, and pages without losing or repeating a task while
///   others are added.
/// - A page of `list` with several tasks has at most 1 MB of payloads, results and states; a larger task has a page of
///   its own.
/// - `statistics` counts tasks by agent and status.
/// - `backlog` counts the pending tasks that wait for no child and returns the due time of the oldest; ended tasks do
///   not slow it down.
/// - Every status event is counted once ([`Announcer::announce`](super::Announcer::announce)) after its commit, by the process whose call caused it.
/// - A call whose future is no longer polled does not block other calls: everything it holds is released.
/// - Subscribers receive `Queue` after an enqueue, a retry and a released claim, and `Task` after every new event.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TaskStore: Debug + Send + Sync + 'static {
    /// Adds these tasks with their first event, all or none, and returns them as stored; for a known idempotency or
    /// unique key that is the earlier task.
    async fn enqueue(&self, tasks: Vec<Task>) -> Result<Vec<Task>> {
        self.enqueue_within(tasks, None).await
    }

    /// Adds tasks like [`enqueue`](Self::enqueue), provided that each owner then has at most `max_pending` pending
    /// tasks that wait for no child.
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>>;

    /// Returns the task, if there is one.
    async fn get(&self, id: TaskId) -> Result<Option<Task>>;

    /// Returns one page of the tasks that match the query; [`TaskPage::of`] builds it from the rows.
    async fn list(&self, query: &TaskQuery) -> Result<TaskPage>;

    /// Counts all tasks by agent and status; reads every task.
    async fn statistics(&self) -> Result<TaskStatistics>;

    /// Returns the size and age of the backlog.
    async fn backlog(&self) -> Result<Backlog>;

    /// Claims up to `limit` due tasks under a lease, fairly across owners. The claims are in the order of the
    /// round-robin.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>>;

    /// Heartbeat: extends these leases to `lease_until`; one result per claim, in order.
    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>>;

    /// Records outcomes; one result per outcome, in order. `Ok` means durable.
    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>>;

    /// Reaps expired leases; returns the number of tasks.
    async fn reap(&self, now: DateTime<Utc>) -> Result<u64>;

    /// Returns when the next pending task is due or the next lease expires, if there is one: the longest time a claimer
    /// may sleep. It may be too early, because of a lease whose task has ended meanwhile, but not too late.
    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>>;

    /// Requests cancellation of a task; returns it as it is afterwards.
    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task>;

    /// Returns a failed task to the queue; returns it as it is afterwards.
    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task>;

    /// Removes an ended task with its events and agent messages.
    async fn delete(&self, id: TaskId) -> Result<()>;

    /// Removes all tasks of an owner with their events and agent messages; returns their number.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;

    /// Removes one batch of tasks that ended long ago. If several processes call it concurrently, one may do all the
    /// work while the others find nothing to do.
    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned>;

    /// Appends events of a running task under its claim.
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()>;

    /// Returns one page of the events of a task with a sequence above `after`, in order, at most `limit`.
    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>>;

    /// Returns the messages between the agent of this task and the agents of its children or parents about them: at
    /// most `limit`, after the end of the previous page. A child that had already ended is answered at once. Deleting
    /// either task removes them.
    async fn agent_messages(&self, id: TaskId, after: Option<u64>, limit: u32) -> Result<AgentMessagePage>;

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
    ) -> Result<EventLogPage>;

    /// Returns the end of the event log: no event was returned at a later position, and all later events will be.
    async fn event_log_end(&self) -> Result<EventOffset>;

    /// Returns the position after which the event log is complete: events up to it may have been removed by
    /// [`prune`](Self::prune). The default position if none were.
    async fn event_log_begin(&self) -> Result<EventOffset>;

    /// Returns a stream of wake-ups from now on. A receiver that lags has missed some and must read everything again.
    fn subscribe(&self) -> broadcast::Receiver<WakeUp>;
}

/// Returns the error for a retry whose unique key belongs to another unfinished task. All stores share it.
pub fn deduplication_key_taken(by: TaskId) -> Error {
    Error::conflict(format!("task {by} has the same key and has not ended")).with_field("unique_key")
}
