//! Inbound API of the engine, called by embedders, the HTTP server and the command line.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::mpsc;
use tracing::{Instrument, info_span};

use super::builder::EngineBuilder;
use crate::domain::{
    AgentDescriptor, AgentMessagePage, AgentStatus, Backlog, Caller, EventOffset, InstanceId, NewTask,
    Permission, Snapshot, Task, TaskId, TaskPage, TaskQuery, TaskStatistics, TaskStatus, TraceContext,
    UserId, UserRole,
};
use crate::engine::background::agent_liveness;
use crate::engine::events::log::EventLogSubscription;
use crate::engine::events::stream::{EventStream, stream, wait_for_end};
use crate::engine::result_cache;
use crate::engine::shared::{Parts, Shared};
use crate::engine::worker::in_flight::StopReason;
use crate::engine::worker::reservation::Reservation;
use crate::engine::worker::{claimer, heartbeat, outcome_writer};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Clock, MetricSource, MetricStore, ModelBackend, TaskStore, Tracer, collect_snapshot};
use crate::trace;
use crate::validation::{page, time_of_listing};

/// Task engine: accepts tasks, reports their state and runs them.
///
/// Cloning is cheap; all clones share one engine.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Creates a builder with default settings.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self { shared: Arc::new(Shared::new(parts)) }
    }

    /// Submits a task; it is durable when this returns.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field; `Forbidden` if the caller may not use the agent; `RateLimited` if too
    /// many tasks of the owner are pending; `Conflict` if the idempotency key belongs to a task with another request.
    pub async fn submit(&self, caller: &Caller, new: NewTask) -> Result<Task> {
        let mut stored = self.submit_all(caller, vec![new]).await?;
        stored.pop().ok_or_else(|| Error::internal("the store returned no task"))
    }

    /// Submits tasks, all or none of them.
    ///
    /// # Errors
    /// Those of [`submit`](Self::submit).
    pub async fn submit_all(&self, caller: &Caller, new: Vec<NewTask>) -> Result<Vec<Task>> {
        new.iter().try_for_each(|new| self.check(caller, new))?;
        let asked = self.pending(caller.owner(), new);
        // Only an earlier task that is returned for a known key can differ from the request.
        let keyed: Vec<Option<Task>> =
            asked.iter().map(|task| task.idempotency_key.is_some().then(|| task.clone())).collect();
        let stored = self.enqueue(asked).await?;
        for (task, asked) in stored.iter().zip(&keyed) {
            if asked.as_ref().is_some_and(|asked| !same_request(task, asked)) {
                let why = format!("it already belongs to task {}, which has different contents", task.id);
                return Err(Error::conflict(why).with_field("idempotency_key"));
            }
        }
        Ok(stored)
    }

    /// Checks that this caller may submit such a task.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field; `Forbidden` if the caller may not use the agent.
    pub fn check(&self, caller: &Caller, new: &NewTask) -> Result<()> {
        let needed = self.shared.parts.registry.check(new)?;
        needed.into_iter().try_for_each(|permission| self.require(caller, permission))?;
        new.validate_times(self.shared.parts.clock.now())
    }

    /// Requires the permission by the caller's role or scopes and the operator's policy.
    ///
    /// # Errors
    /// `Forbidden` if the caller lacks the permission.
    pub fn require(&self, caller: &Caller, permission: Permission) -> Result<()> {
        self.shared.parts.access.require(caller, permission)
    }

    /// Submits tasks of this owner, provided that the owner has the permissions now. A known idempotency key returns
    /// the existing task, whatever it requests.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field, `Forbidden`, and those of the store.
    pub(crate) async fn submit_for(&self, owner: Option<UserId>, new: Vec<NewTask>) -> Result<Vec<Task>> {
        let now = self.shared.parts.clock.now();
        let mut needed = Vec::new();
        for new in &new {
            needed.extend(self.shared.parts.registry.check(new)?);
            new.validate_times(now)?;
        }
        self.require_of_owner(owner, &needed).await?;
        self.enqueue(self.pending(owner, new)).await
    }

    /// Requires that the owner of a task has these permissions now.
    ///
    /// # Errors
    /// `Forbidden`, and those of the store.
    async fn require_of_owner(&self, owner: Option<UserId>, needed: &[Permission]) -> Result<()> {
        let (Some(store), Some(id)) = (&self.shared.parts.identity_store, owner) else { return Ok(()) };
        let user = store.user(id).await?;
        if user.as_ref().is_some_and(|user| user.disabled) {
            return Err(Error::new(ErrorKind::Forbidden, "the owner of the task is disabled"));
        }
        let owner = Caller::User { id, role: user.map_or(UserRole::User, |user| user.role) };
        needed.iter().try_for_each(|permission| {
            self.require(&owner, *permission).map_err(|e| {
                let why = format!("the owner of the task lacks a permission that it needs: {}", e.message());
                Error::new(e.kind(), why)
            })
        })
    }

    /// Creates the requested tasks without storing them.
    fn pending(&self, owner: Option<UserId>, new: Vec<NewTask>) -> Vec<Task> {
        let now = self.shared.parts.clock.now();
        new.into_iter().map(|new| Task::pending(new, owner, None, now)).collect()
    }

    /// Stores tasks within a span of their own.
    async fn enqueue(&self, mut tasks: Vec<Task>) -> Result<Vec<Task>> {
        let parts = &self.shared.parts;
        let span = info_span!(
            "publish",
            otel.kind = "producer",
            messaging.system = "sutazai",
            messaging.operation.name = "publish",
            messaging.operation.type = "send",
            messaging.destination.name = tasks.first().map(|task| task.agent.as_str()),
            messaging.batch.message_count = tasks.len(),
        );
        let place = trace::current().unwrap_or_else(TraceContext::generate);
        let place = trace::start(parts.tracer.as_ref(), &span, place);
        tasks.iter_mut().for_each(|task| task.trace = Some(place.clone()));
        let Some(reservation) = Reservation::claim_for_this_process(&self.shared, &mut tasks) else {
            return parts.store.enqueue_within(tasks, parts.max_pending_per_owner).instrument(span).await;
        };
        // Spawned, because the submitter may disconnect meanwhile: a task stored as claimed must reach the claimer, or
        // it would wait for its lease to expire.
        let shared = self.shared.clone();
        let adding = async move {
            let max_pending = shared.parts.max_pending_per_owner;
            let mut stored = shared.parts.store.enqueue_within(tasks, max_pending).instrument(span).await?;
            reservation.dispatch(&mut stored).await;
            Ok(stored)
        };
        let added = self.shared.tracker.spawn(adding).await;
        added.unwrap_or_else(|e| Err(Error::internal("the tasks could not be added").with_source(e)))
    }

    /// Returns the task with this id.
    ///
    /// # Errors
    /// `NotFound`, also for a task that the caller may not see.
    pub async fn task(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        let task = result_cache::task(&self.shared.parts, id).await?;
        task.filter(|task| caller.may_touch(task.owner)).ok_or_else(|| Error::not_found(format!("task {id}")))
    }

    /// Returns one page of tasks, newest first; users see only their own.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` if it is not 1 to 100.
    pub async fn tasks(&self, caller: &Caller, mut query: TaskQuery) -> Result<TaskPage> {
        page(query.limit)?;
        for at in [&mut query.created_after, &mut query.created_before].into_iter().flatten() {
            *at = time_of_listing(*at);
        }
        if !caller.may_touch(query.owner) {
            query.owner = caller.owner();
        }
        self.shared.parts.store.list(&query).await
    }

    /// Cancels a task: a pending one ends at once, a running one as soon as its agent reacts.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` if it has already ended.
    pub async fn cancel(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        self.task(caller, id).await?;
        let task = self.shared.parts.store.cancel(id, self.shared.parts.clock.now()).await?;
        if task.cancel_requested {
            // The task may run in this process, where it can be cancelled without waiting for the heartbeat.
            self.shared.in_flight.cancel(id);
        }
        Ok(task)
    }

    /// Returns a failed task to the queue, if both the caller and its owner now have the permissions that it needs.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it has not failed; `Forbidden`, also if its agent is not registered here and the
    /// caller is not an admin.
    pub async fn retry(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        let task = self.task(caller, id).await?;
        // Without the agent the required permissions are unknown, so only admins may retry it.
        let needed = match self.shared.parts.registry.permissions(&task.agent, &task.payload) {
            Ok(needed) => needed,
            Err(_) => {
                self.require(caller, Permission::Administer)?;
                Vec::new()
            }
        };
        needed.iter().try_for_each(|permission| self.require(caller, *permission))?;
        self.require_of_owner(task.owner, &needed).await?;
        result_cache::changed(&self.shared.parts, id).await;
        self.shared.parts.store.retry(id, self.shared.parts.clock.now()).await
    }

    /// Returns every failed task of the caller, or of one agent, to the queue and returns their number. Tasks that are
    /// retried or deleted concurrently, and those that may not be retried, are skipped.
    ///
    /// # Errors
    /// Those of the store; tasks retried by then stay so, and another call continues with the rest.
    pub async fn retry_failed(&self, caller: &Caller, agent: Option<String>) -> Result<u64> {
        let failed = Some(TaskStatus::Failed);
        let mut query = TaskQuery { status: failed, agent, limit: 100, ..TaskQuery::default() };
        let mut retried = 0;
        loop {
            let page = self.tasks(caller, query.clone()).await?;
            // Concurrently, so that a store can group them into one transaction.
            for outcome in join_all(page.items.iter().map(|task| self.retry(caller, task.id))).await {
                match outcome {
                    Ok(_) => retried += 1,
                    Err(e) if is_skippable(&e) => {}
                    Err(e) => return Err(e),
                }
            }
            match page.next {
                Some(next) => query.before = Some(next),
                None => return Ok(retried),
            }
        }
    }

    /// Counts the tasks of all owners by agent and status; reads every task.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn statistics(&self) -> Result<TaskStatistics> {
        self.shared.parts.store.statistics().await
    }

    /// Returns the size and age of the backlog over all owners.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn backlog(&self) -> Result<Backlog> {
        self.shared.parts.store.backlog().await
    }

    /// Removes an ended task with its events.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` if it has not ended.
    pub async fn delete(&self, caller: &Caller, id: TaskId) -> Result<()> {
        self.task(caller, id).await?;
        result_cache::changed(&self.shared.parts, id).await;
        self.shared.parts.store.delete(id).await
    }

    /// Streams the events of a task with a sequence above `after`: the stored ones, then new ones. Ends after the last
    /// event of an ended task.
    ///
    /// # Errors
    /// `NotFound` if there is no such task, or the caller may not see it.
    pub async fn events(&self, caller: &Caller, id: TaskId, after: u64) -> Result<EventStream> {
        self.task(caller, id).await?;
        Ok(stream(self.shared.parts.store.clone(), self.shared.parts.clock.clone(), id, after))
    }

    /// Returns the messages between the agent of this task and the agents of its children or parents about them: at
    /// most `limit` (1 to 100), in the order in which they were recorded, after the end of the previous page.
    ///
    /// # Errors
    /// `NotFound`, or `InvalidInput` naming `limit`.
    /// `NotFound`, `InvalidInput` naming `limit`.
    pub async fn agent_messages(
        &self,
        caller: &Caller,
        id: TaskId,
        after: Option<u64>,
        limit: u32,
    ) -> Result<AgentMessagePage> {
        page(limit)?;
        self.task(caller, id).await?;
        self.shared.parts.store.agent_messages(id, after, limit).await
    }

    /// Streams the event log after this position, or from now on: the events of the caller's tasks, or of all tasks for
    /// callers who may see all. Stored events come first, then new ones, until [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// `InvalidInput` naming `after` if this store never returned such a position; `Conflict` naming it if later events
    /// were removed since.
    pub async fn event_log(
        &self,
        caller: &Caller,
        after: Option<EventOffset>,
    ) -> Result<EventLogSubscription> {
        let owner = if caller.may_touch(None) { None } else { caller.owner() };
        self.shared.log.open(owner, after).await
    }

    /// Waits until a task has ended and returns it.
    ///
    /// # Errors
    /// `NotFound`, also if it is deleted meanwhile.
    pub async fn wait(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        self.task(caller, id).await?;
        wait_for_end(self.shared.parts.store.as_ref(), self.shared.parts.clock.as_ref(), id).await
    }

    /// Returns the descriptions of the registered agents.
    pub fn agents(&self) -> Vec<AgentDescriptor> {
        self.shared.parts.registry.descriptors()
    }

    /// Returns the id of this engine, under which it holds its leases.
    pub fn worker(&self) -> InstanceId {
        self.shared.worker
    }

    /// Returns the number of tasks that can run concurrently in this process.
    pub fn workers(&self) -> usize {
        self.shared.parts.workers
    }

    /// Returns the number of claims that this process holds: running and prefetched tasks.
    pub fn held(&self) -> usize {
        self.shared.in_flight.keys().len()
    }

    /// Returns how long the longest-waiting due task has been waiting for any worker of any process; `None` if none is
    /// due. An expired lease that has not been reaped counts as well.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn overdue(&self) -> Result<Option<Duration>> {
        let parts = &self.shared.parts;
        let due = parts.store.next_due(&parts.registry.names()).await?;
        Ok(due.and_then(|due| (parts.clock.now() - due).to_std().ok()))
    }

    /// Returns the liveness of each agent over all processes, in the order of [`agents`](Self::agents). `None` if the
    /// engines share neither an [`AgentStore`](crate::ports::AgentStore) nor a [`Cache`](crate::ports::Cache), or these
    /// cannot be reached.
    pub async fn agent_statuses(&self) -> Option<Vec<AgentStatus>> {
        agent_liveness::read(&self.shared).await
    }

    /// Checks with a small query that the store can be reached.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ping_store(&self) -> Result<()> {
        self.shared.parts.store.get(TaskId::new()).await.map(|_| ())
    }

    /// Measures with the metric sources of these names.
    pub async fn snapshot_of(&self, sources: &[&str]) -> Snapshot {
        let wanted = |source: &&Arc<dyn MetricSource>| sources.contains(&source.name());
        let sources: Vec<_> = self.shared.parts.metric_sources.iter().filter(wanted).cloned().collect();
        collect_snapshot(&sources, self.shared.parts.clock.as_ref()).await
    }

    /// Measures with all metric sources.
    pub async fn snapshot(&self) -> Snapshot {
        collect_snapshot(&self.shared.parts.metric_sources, self.shared.parts.clock.as_ref()).await
    }

    /// Returns the model backend for an interactive request of this caller, subject to admission control; `None`
    /// without one.
    pub fn model_for(&self, caller: &Caller) -> Option<Arc<dyn ModelBackend>> {
        let gate = self.shared.parts.model.as_ref();
        gate.map(|gate| gate.model_for(caller))
    }

    /// Returns the name of this machine, which its metric samples carry.
    pub fn host(&self) -> &str {
        &self.shared.parts.host
    }

    /// Returns the metric history, if there is one.
    pub fn metric_store(&self) -> Option<Arc<dyn MetricStore>> {
        self.shared.parts.metric_store.clone()
    }

    /// Returns the clock of the engine.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared.parts.clock.clone()
    }

    /// Returns the task store.
    pub(crate) fn store(&self) -> &dyn TaskStore {
        self.shared.parts.store.as_ref()
    }

    /// Returns the tracer of the engine.
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        self.shared.parts.tracer.clone()
    }

    /// Starts the workers, if the engine has any. Must be called within a Tokio runtime; has no effect when called
    /// again or after the shutdown.
    pub fn start(&self) {
        if self.workers() == 0
            || self.shared.closing.is_cancelled()
            || self.shared.started.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let (sender, receiver) = mpsc::channel(outcome_writer::CAPACITY);
        let tracker = &self.shared.tracker;
        tracker.spawn(outcome_writer::run(self.shared.clone(), receiver));
        tracker.spawn(heartbeat::run(self.shared.clone()));
        tracker.spawn(agent_liveness::record_heartbeats(self.shared.clone()));
        tracker.spawn(claimer::run(self.shared.clone(), sender));
    }

    /// Shuts down: stops claiming, releases prefetched claims, gives running tasks `grace` to end, then cancels and
    /// releases them. Nothing of the engine runs any more when this returns.
    pub async fn shutdown(&self, grace: Duration) {
        let shared = &self.shared;
        shared.closing.cancel();
        let all = u32::try_from(shared.parts.workers).unwrap_or(u32::MAX);
        tokio::select! {
            _ = shared.slots.acquire_many(all) => {}
            () = shared.parts.clock.sleep(grace) => shared.in_flight.stop_all(StopReason::Shutdown),
        }
        // The outcome writer ends when the claimer and the last worker have dropped their senders.
        shared.tracker.close();
        shared.tracker.wait().await;
    }
}

/// Returns whether this error concerns one task only, so that the remaining tasks are still retried.
fn is_skippable(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Forbidden)
}

/// Returns whether `known` results from the same request as `asked`. The due time is compared only before the first
/// attempt, because a retry changes it.
fn same_request(known: &Task, asked: &Task) -> bool {
    // A request without `run_at` has its creation time there, which differs each time. Microseconds, because stores may
    // keep no more.
    let run_at = |task: &Task| {
        let at = task.run_at.timestamp_micros();
        (at != task.created_at.timestamp_micros()).then_some(at)
    };
    known.agent == asked.agent
        && known.payload == asked.payload
        && known.title == asked.title
        && known.description == asked.description
        && known.priority == asked.priority
        && known.timeout_seconds == asked.timeout_seconds
        && known.max_attempts == asked.max_attempts
        && (known.attempt > 0 || run_at(known) == run_at(asked))
}
