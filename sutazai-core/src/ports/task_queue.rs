//! Task queue port: submission of tasks, claims under a lease, and the outcomes of attempts.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{
    Backlog, Claim, ClaimKey, ConcurrencyBudget, ConcurrencyLimits, InstanceId, OutcomeRecord, Task, TaskId,
    UserId,
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

impl ClaimRequest {
    /// Selects the tasks of a claim, round-robin across owners and within the concurrency limits.
    ///
    /// `due` has the due tasks of each owner in the order of their scheduling keys, and is in the order of the owners;
    /// `running` counts the running tasks by owner and agent, and is read only if there are limits.
    pub fn select<'t, Due: Iterator<Item = &'t Task>>(
        &self,
        due: impl IntoIterator<Item = (Option<UserId>, Due)>,
        running: impl IntoIterator<Item = (Option<UserId>, String, u32)>,
    ) -> Vec<TaskId> {
        let limited = self.limits.are_set();
        let mut budget = ConcurrencyBudget::new(&self.limits, running.into_iter().take_while(|_| limited));
        let (before, after): (Vec<_>, Vec<_>) = due.into_iter().partition(|(owner, _)| *owner <= self.after);
        let mut rotation: Vec<_> = after.into_iter().chain(before).collect();
        let mut taken = Vec::new();
        while !rotation.is_empty() {
            rotation.retain_mut(|(owner, due)| {
                if taken.len() >= self.limit as usize {
                    return false;
                }
                // Capacity only shrinks within one claim, so a task that does not fit now will not fit later in it.
                let next =
                    due.find(|task| self.agents.contains(&task.agent) && budget.has(*owner, &task.agent));
                if let Some(task) = next {
                    budget.take(*owner, &task.agent);
                    taken.push(task.id);
                }
                next.is_some()
            });
        }
        taken
    }
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

/// Queue from which workers claim tasks.
///
/// [`lifecycle`](crate::domain::task::lifecycle) decides what each call does to a task; a store applies it in one
/// transaction with everything that follows from it.
///
/// # Contract
/// - An enqueued task is pending, can be read back with all its fields, and has one event: `pending`, sequence 1.
/// - A task enqueued as claimed (attempt 1) is held under that claim at once and has a second event: `processing`.
/// - Enqueueing a known idempotency key of the same owner returns the first task and adds nothing; for another owner it
///   adds a task.
/// - While a task with a unique key is pending or processing, enqueueing that key for its owner and agent returns it,
///   also concurrently.
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
/// - `Wait` enqueues the children and keeps the parent from being claimed until the last child, or until one more child,
///   has ended; then its claim has the state and the children in order. Ending the parent cancels its unfinished children.
/// - `reap` makes tasks with expired leases pending and counts a failure; without an attempt left it ends them as
///   failed (kind `timeout`), with a requested cancellation as cancelled.
/// - `ahead` counts the due tasks of the same owner that wait for no child and have an earlier scheduling key, at most
///   [`MAX_AHEAD`](crate::domain::MAX_AHEAD).
/// - `backlog` counts the pending tasks that wait for no child and returns the due time of the oldest; ended tasks do
///   not slow it down.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop, but its wake-ups may be
/// missing, so that other readers of this process see it when they poll. A read has no effect.
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait TaskQueue: Debug + Send + Sync + 'static {
    /// Adds these tasks with their first event, all or none, and returns them as stored; for a known idempotency or
    /// unique key that is the earlier task.
    ///
    /// # Errors
    /// `Conflict` if a task has one of these ids.
    async fn enqueue(&self, tasks: Vec<Task>) -> Result<Vec<Task>> {
        self.enqueue_within(tasks, None).await
    }

    /// Adds tasks like [`enqueue`](Self::enqueue), provided that each owner then has at most `max_pending` pending
    /// tasks that wait for no child.
    ///
    /// # Errors
    /// Those of [`enqueue`](Self::enqueue); `RateLimited` if an owner would have more pending tasks.
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>>;

    /// Claims up to `limit` due tasks under a lease, fairly across owners. The claims are in the order of the
    /// round-robin.
    ///
    /// # Cancel safety
    /// Tasks that were claimed for a dropped future are held until their leases expire.
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>>;

    /// Heartbeat: extends these leases to `lease_until`; one result per claim, in order.
    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>>;

    /// Records outcomes; one result per outcome, in order. `Ok` means durable.
    ///
    /// # Errors
    /// Those of every store, and then nothing was recorded; the result of one outcome is `Conflict` if its claim is
    /// spent.
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

    /// Returns the number of tasks of the same owner that are due at `now` and will be claimed before this one.
    async fn ahead(&self, task: &Task, now: DateTime<Utc>) -> Result<u32>;

    /// Returns the size and age of the backlog.
    async fn backlog(&self) -> Result<Backlog>;
}

/// Returns the error for a retry whose unique key belongs to another unfinished task. All stores share it.
pub fn deduplication_key_taken(by: TaskId) -> Error {
    Error::conflict(format!("task {by} has the same key and has not ended")).with_field("unique_key")
}
