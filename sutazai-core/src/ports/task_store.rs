//! Where tasks live: the queue, the record and the events, in one place so that they change in one transaction.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::broadcast;

use crate::domain::{
    AgentMessagePage, Backlog, Claim, ClaimKey, ConcurrencyLimits, EventPosition, FeedEvent, Finish,
    NewEvent, Prune, Pruned, Task, TaskEvent, TaskId, TaskPage, TaskQuery, TaskStatistics, TaskStatus,
    UserId, WorkerId,
};
use crate::error::{Error, Result};

/// Which tasks a worker wants.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimRequest {
    /// Who will hold them.
    pub worker: WorkerId,
    /// Only tasks of these agents.
    pub agents: Vec<String>,
    /// At most so many.
    pub limit: u32,
    /// How long the lease lasts from `now`.
    pub lease: Duration,
    /// The time.
    pub now: DateTime<Utc>,
    /// How many may run at once.
    pub limits: ConcurrencyLimits,
    /// Whose task was claimed last: the turn goes on after this owner.
    pub after: Option<UserId>,
}

/// What became of a lease at a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseState {
    /// Prolonged.
    Held,
    /// Prolonged, but somebody asked for the task to stop.
    CancelRequested,
    /// Not this worker's any more: stop, and record nothing.
    Lost,
}

/// Says that there may be something new; carries no data, read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeUp {
    /// A task may be due.
    Queue,
    /// This task has new events.
    Task(TaskId),
}

/// Counts that a task of this agent has entered this status, for `tasks_total`. Each store calls it for what its own calls
/// have changed, once that is committed: so that it is counted once, however many processes share a database.
pub fn count_entered(agent: &str, status: TaskStatus) {
    metrics::counter!("tasks_total", "agent" => agent.to_owned(), "status" => status.as_str()).increment(1);
}

/// The task store.
///
/// # Contract
/// - An enqueued task is pending, can be read back whole, and has one event: `pending`, sequence 1.
/// - A task that is enqueued as claimed ([`Task::claim`], attempt 1) is held under that claim when it is added, and has a second event: `processing`.
/// - Enqueueing the same idempotency key of the same owner again gives the first task and adds nothing; the same key of another owner is another task.
/// - While a task with a unique key is pending or processing, enqueueing the same key for the same owner and agent gives that task and adds nothing, however many ask at once; once it has ended, the key is free. `retry` of a failed task whose key another task has by now is `Conflict`.
/// - A batch is enqueued whole or not at all.
/// - With a limit a task after which more of its owner's would be pending and wait for no child is `RateLimited`, and its batch is not enqueued, however many ask at once. What is known by its key is given all the same, and nobody's tasks have no limit.
/// - An owner's tasks are claimed in the order of their rank (by `run_at`, [`AGEING`](crate::domain::AGEING) earlier for each priority); never before `run_at`, never for an agent that was not asked for, never while waiting for children.
/// - Owners take turns: in the order of their keys, beginning after `after`, each gives one task a round, until there are `limit` or nothing is due. The tasks of nobody are those of one owner, who comes before all others. The claims come in that order.
/// - No claim makes more tasks of an owner or an agent run than `limits` allow, however many claim at once with the same limits; and it takes what they allow.
/// - A task is claimed by one worker at a time, however many ask at once; the claim counts an attempt, sets the lease and adds the event `processing`.
/// - `renew` prolongs a held lease, tells of a requested cancellation, and tells that a spent or foreign claim is lost.
/// - `finish` under a good claim records the outcome and its event in one step; under a spent claim it is `Conflict` and changes nothing; one bad entry of a batch does not hinder the others.
/// - `Completed`, `Failed` and `Cancelled` end the task and set `finished_at`; `Retry` makes it pending at its time and counts a failure; `HandBack` makes it pending at once and counts none.
/// - `Wait` enqueues the children and makes the parent pending but not claimable; when the last child has ended it is due, and its claim carries the children in order and the state. Ending the parent for good cancels children that have not ended.
/// - Who waits and who is waited for exchange messages, each written in the step of what it tells: `TASK` to every child that is asked for, once however often it is asked for at a time; `RESULT` or `ERROR` from it when it has ended, at once if it had before; and with each renewal of its lease a `HEARTBEAT`, which takes the place of the one before. `agent_messages` gives those of a task, as who waits or as who is waited for, in the order in which they were written, page by page; deleting either task removes them.
/// - `expire` makes tasks whose lease ran out pending again and counts a failure; with no failure left it ends them as failed (kind `timeout`); with a cancellation requested it ends them as cancelled.
/// - `cancel` ends a pending task at once (and its children), marks a running one, leaves an ended one as it is and says `Conflict`.
/// - `retry` makes a failed task pending with no failures counted; any other status is `Conflict`.
/// - `delete` removes an ended task with its events, and its children have no parent any more; one that has not ended is `Conflict`; an unknown one `NotFound`.
/// - `delete_all` removes all tasks of one owner with their events and messages, whatever their status, and tells how many those were; whoever runs one has lost it.
/// - `prune` removes tasks that ended before the given times, with their events, page by page in the order of their keys; none that has not ended, and none that another waits for which has not. `feed_begin` then stands at the last event that was removed.
/// - Event sequences are 1, 2, 3 ... without gaps within a task, whoever appends; `append` under a spent claim is `Conflict` and adds nothing.
/// - The feed holds every event once, of one owner or of all: an event whose write began after another was acknowledged stands after it, and those written at the same time stand in either order. Who reads on after the last position that was given, or after `feed_end`, misses none and gets none twice, however many write; an event may come into the feed a moment later than into its task.
/// - `list` is newest first, filters by every field of the query, and pages without losing or doubling a task while others are added.
/// - A page of `list` with several tasks holds at most a megabyte of payloads, results and states; a larger task has a page of its own.
/// - `statistics` counts tasks by agent and status.
/// - `backlog` counts the pending tasks that wait for no child, and tells since when the oldest of them is due; it takes no longer when many tasks have ended.
/// - Every event of a status is counted once ([`count_entered`]), by the process whose call brought it about, when it is committed.
/// - A call whose future is not polled any more hinders no other call: whatever it holds is released all the same.
/// - A subscriber hears `Queue` after an enqueue, a retry and a hand-back, and `Task` after every new event.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait TaskStore: Debug + Send + Sync + 'static {
    /// Adds these tasks with their first event, all or none, and gives them as they stand: for a known
    /// idempotency or unique key that is the earlier task.
    async fn enqueue(&self, tasks: Vec<Task>) -> Result<Vec<Task>> {
        self.enqueue_within(tasks, None).await
    }

    /// Does the same, if at most `max_pending` tasks of each owner are pending then and wait for no child.
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>>;

    /// The task, if there is one.
    async fn get(&self, id: TaskId) -> Result<Option<Task>>;

    /// A page of the tasks that fit the query, which [`TaskPage::of`] makes of the rows.
    async fn list(&self, query: &TaskQuery) -> Result<TaskPage>;

    /// How many tasks there are. It looks at all of them.
    async fn statistics(&self) -> Result<TaskStatistics>;

    /// How far the queue is behind.
    async fn backlog(&self) -> Result<Backlog>;

    /// Takes due tasks under a lease.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>>;

    /// Heartbeat: prolongs these leases to `lease_until`; one answer for each, in order.
    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>>;

    /// Records outcomes; one answer for each, in order. Acknowledged means durable.
    async fn finish(&self, finished: Vec<Finish>, now: DateTime<Utc>) -> Result<Vec<Result<()>>>;

    /// Takes back what dead workers held; tells how many tasks that were.
    async fn expire(&self, now: DateTime<Utc>) -> Result<u64>;

    /// When the next pending task is due or the next lease runs out, if there is one: how long a worker may sleep. It may be
    /// earlier, by a lease whose task has ended meanwhile, but not later.
    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>>;

    /// Asks for a task to stop; gives it as it stands.
    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task>;

    /// Puts a failed task back into the queue; gives it as it stands.
    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task>;

    /// Removes an ended task and its events.
    async fn delete(&self, id: TaskId) -> Result<()>;

    /// Removes all tasks of an owner and their events.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;

    /// Removes some of what ended long ago. Of several processes that do so at once one may do all of it; the others then
    /// see nothing to do.
    async fn prune(&self, look: &Prune) -> Result<Pruned>;

    /// Appends events of a running task under its claim.
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()>;

    /// Events of a task with a sequence over `after`, in order, at most `limit`.
    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>>;

    /// What the agent of this task and those of its children or its parents have said to each other about them: at most
    /// `limit` messages after where a page before ended.
    async fn agent_messages(&self, id: TaskId, after: Option<u64>, limit: u32) -> Result<AgentMessagePage>;

    /// The part of the feed after this position, in its order, at most `limit`, fewer only at the end: the events of the
    /// tasks of `owner`, or with none those of all tasks.
    async fn feed_after(
        &self,
        owner: Option<UserId>,
        after: EventPosition,
        limit: u32,
    ) -> Result<Vec<FeedEvent>>;

    /// Where the feed ends now: no event was given at a later position, and those that come will be.
    async fn feed_end(&self) -> Result<EventPosition>;

    /// After which position the feed is whole: up to it events may have been removed by [`prune`](Self::prune). The default
    /// position when none was.
    async fn feed_begin(&self) -> Result<EventPosition>;

    /// A stream of wake-ups from now on. One that lags behind has missed some: read everything again.
    fn subscribe(&self) -> broadcast::Receiver<WakeUp>;
}

/// The error of a retry whose unique key this other task has by now; the same over every store.
pub fn unique_key_taken(by: TaskId) -> Error {
    Error::conflict(format!("task {by} has the same key and has not ended")).with_field("unique_key")
}
