//! The inbound API: what embedders, the HTTP server and the command line call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span};

use super::builder::EngineBuilder;
use super::events::{EventStream, stream, wait_for_end};
use super::feed::{self, Feed, Relay};
use super::hand_over::{Ahead, HandOver};
use super::pace::Pace;
use super::registry::AgentRegistry;
use super::running::{Running, StopReason};
use super::{agent_status, claimer, finisher, heartbeat, remembered};
use crate::bounds::{page, time_of_listing};
use crate::domain::{
    AccessPolicy, AgentDescriptor, AgentMessagePage, AgentStatus, Backlog, Caller, ConcurrencyLimits,
    EventPosition, NewTask, Permission, Snapshot, Task, TaskId, TaskPage, TaskQuery, TaskStatistics,
    TaskStatus, TraceContext, UserId, UserRole, WorkerId,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model_gate::ModelGate;
use crate::ports::{
    AgentStore, Cache, Clock, IdentityStore, MetricSource, MetricStore, ModelBackend, TaskStore, Tracer,
    collect_snapshot,
};
use crate::trace;

/// What the engine and its workers share.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) identity_store: Option<Arc<dyn IdentityStore>>,
    pub(super) access: AccessPolicy,
    pub(super) metric_store: Option<Arc<dyn MetricStore>>,
    pub(super) host: String,
    pub(super) agent_store: Option<Arc<dyn AgentStore>>,
    pub(super) cache: Option<Arc<dyn Cache>>,
    pub(super) model: Option<ModelGate>,
    pub(super) metric_sources: Vec<Arc<dyn MetricSource>>,
    pub(super) registry: AgentRegistry,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tracer: Arc<dyn Tracer>,
    pub(super) workers: usize,
    pub(super) lease: Duration,
    pub(super) limits: ConcurrencyLimits,
    pub(super) max_pending_per_owner: Option<u32>,
}

/// The parts with what runs over them.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) parts: Parts,
    pub(super) worker: WorkerId,
    pub(super) running: Running,
    pub(super) slots: Arc<Semaphore>,
    /// Told when outcomes are recorded.
    pub(super) room: Arc<Notify>,
    pub(super) relay: Relay,
    pub(super) hand_over: Arc<HandOver>,
    pub(super) pace: Pace,
    /// Fires when no more tasks are to be claimed.
    pub(super) closing: CancellationToken,
    /// Fires when nothing is held any more.
    pub(super) closed: CancellationToken,
    pub(super) tracker: TaskTracker,
    started: AtomicBool,
}

/// Submits tasks, tells how they stand, and runs them.
///
/// Cheap to clone; all clones are one engine.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    /// Begins to put an engine together.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(super) fn new(parts: Parts) -> Self {
        let slots = Arc::new(Semaphore::new(parts.workers));
        Self {
            shared: Arc::new(Shared {
                parts,
                worker: WorkerId::new(),
                running: Running::default(),
                slots,
                room: Arc::default(),
                relay: Relay::default(),
                hand_over: Arc::default(),
                pace: Pace::default(),
                closing: CancellationToken::new(),
                closed: CancellationToken::new(),
                tracker: TaskTracker::new(),
                started: AtomicBool::new(false),
            }),
        }
    }

    /// Adds a task to the queue; it is durable when this returns.
    ///
    /// # Errors
    /// `InvalidInput` naming the field that does not fit; `Forbidden` when the agent is not for this caller;
    /// `RateLimited` when too many tasks of the owner wait for a worker; `Conflict` when the idempotency key names a task that asks for something else.
    pub async fn submit(&self, caller: &Caller, new: NewTask) -> Result<Task> {
        let mut stored = self.submit_all(caller, vec![new]).await?;
        stored.pop().ok_or_else(|| Error::internal("the store gave back no task"))
    }

    /// Adds tasks to the queue, all or none.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub async fn submit_all(&self, caller: &Caller, new: Vec<NewTask>) -> Result<Vec<Task>> {
        new.iter().try_for_each(|new| self.check(caller, new))?;
        let asked = self.pending(caller.owner(), new);
        // Only a task that was there before can differ.
        let keyed: Vec<Option<Task>> =
            asked.iter().map(|task| task.idempotency_key.is_some().then(|| task.clone())).collect();
        let stored = self.enqueue(asked).await?;
        for (task, asked) in stored.iter().zip(&keyed) {
            if asked.as_ref().is_some_and(|asked| !same_request(task, asked)) {
                let why = format!("it already names task {}, which asks for something else", task.id);
                return Err(Error::conflict(why).with_field("idempotency_key"));
            }
        }
        Ok(stored)
    }

    /// Whether this caller may submit such a task.
    ///
    /// # Errors
    /// `InvalidInput` naming the field that does not fit; `Forbidden` when the agent is not for this caller.
    pub fn check(&self, caller: &Caller, new: &NewTask) -> Result<()> {
        let needed = self.shared.parts.registry.check(new)?;
        needed.into_iter().try_for_each(|permission| self.require(caller, permission))?;
        new.validate_times(self.shared.parts.clock.now())
    }

    /// Whether this caller may do such a thing at all, by their role or scopes and the operator's policy.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, caller: &Caller, permission: Permission) -> Result<()> {
        self.shared.parts.access.require(caller, permission)
    }

    /// Adds tasks of this owner, if they may have them now; a known idempotency key gives the task that is there,
    /// whatever it asks for.
    ///
    /// # Errors
    /// `InvalidInput` naming the field that does not fit, `Forbidden`, and those of the store.
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

    /// Whether the owner of a task has these permissions now.
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

    /// The tasks that are asked for, not in the store yet.
    fn pending(&self, owner: Option<UserId>, new: Vec<NewTask>) -> Vec<Task> {
        let now = self.shared.parts.clock.now();
        new.into_iter().map(|new| Task::pending(new, owner, None, now)).collect()
    }

    /// Adds tasks to the store, in a span of their own.
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
        let Some(ahead) = Ahead::take(&self.shared, &mut tasks) else {
            return parts.store.enqueue_within(tasks, parts.max_pending_per_owner).instrument(span).await;
        };
        // Who submits may go away meanwhile; what is claimed has to run.
        let shared = self.shared.clone();
        let adding = async move {
            let max_pending = shared.parts.max_pending_per_owner;
            let mut stored = shared.parts.store.enqueue_within(tasks, max_pending).instrument(span).await?;
            ahead.hand_over(&mut stored).await;
            Ok(stored)
        };
        let added = self.shared.tracker.spawn(adding).await;
        added.unwrap_or_else(|e| Err(Error::internal("the tasks could not be added").with_source(e)))
    }

    /// A task.
    ///
    /// # Errors
    /// `NotFound`, also for a task that is not the caller's.
    pub async fn task(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        let task = remembered::task(&self.shared, id).await?;
        task.filter(|task| caller.may_touch(task.owner)).ok_or_else(|| Error::not_found(format!("task {id}")))
    }

    /// A page of tasks, newest first; a user's own only.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` when it is not 1 to 100.
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

    /// Asks for a task to stop: a pending one ends at once, a running one as soon as its agent heeds it.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it has already ended.
    pub async fn cancel(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        self.task(caller, id).await?;
        let task = self.shared.parts.store.cancel(id, self.shared.parts.clock.now()).await?;
        if task.cancel_requested {
            // It may run here: no need to wait for the heartbeat.
            self.shared.running.cancel(id);
        }
        Ok(task)
    }

    /// Puts a failed task back into the queue, if both the caller and its owner have the permissions that it needs now.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden`, also when its agent is not here and the caller no admin, or `Conflict` when it has not failed.
    pub async fn retry(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        let task = self.task(caller, id).await?;
        // Only admins know what an agent needs that is not here.
        let needed = match self.shared.parts.registry.permissions(&task.agent, &task.payload) {
            Ok(needed) => needed,
            Err(_) => {
                self.require(caller, Permission::Administer)?;
                Vec::new()
            }
        };
        needed.iter().try_for_each(|permission| self.require(caller, *permission))?;
        self.require_of_owner(task.owner, &needed).await?;
        remembered::changed(&self.shared, id).await;
        self.shared.parts.store.retry(id, self.shared.parts.clock.now()).await
    }

    /// Puts every failed task of the caller back into the queue, or those of one agent; gives how many that were. A
    /// task that somebody else retries or deletes meanwhile is passed over, and one that may not be retried.
    ///
    /// # Errors
    /// Those of the store; what was retried until then stays so, and another call goes on with the rest.
    pub async fn retry_failed(&self, caller: &Caller, agent: Option<String>) -> Result<u64> {
        let failed = Some(TaskStatus::Failed);
        let mut query = TaskQuery { status: failed, agent, limit: 100, ..TaskQuery::default() };
        let mut retried = 0;
        loop {
            let page = self.tasks(caller, query.clone()).await?;
            // At once, so that a store can write them in one transaction.
            for outcome in join_all(page.items.iter().map(|task| self.retry(caller, task.id))).await {
                match outcome {
                    Ok(_) => retried += 1,
                    Err(e) if is_passed_over(&e) => {}
                    Err(e) => return Err(e),
                }
            }
            match page.next {
                Some(next) => query.before = Some(next),
                None => return Ok(retried),
            }
        }
    }

    /// How many tasks there are, of everybody. It looks at all of them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn statistics(&self) -> Result<TaskStatistics> {
        self.shared.parts.store.statistics().await
    }

    /// How far the queue is behind, of everybody.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn backlog(&self) -> Result<Backlog> {
        self.shared.parts.store.backlog().await
    }

    /// Removes an ended task and its events.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it has not ended.
    pub async fn delete(&self, caller: &Caller, id: TaskId) -> Result<()> {
        self.task(caller, id).await?;
        remembered::changed(&self.shared, id).await;
        self.shared.parts.store.delete(id).await
    }

    /// The events of a task with a sequence over `after`: those that are there, then those that come. Ends when the
    /// task has ended and its last event was given.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn events(&self, caller: &Caller, id: TaskId, after: u64) -> Result<EventStream> {
        self.task(caller, id).await?;
        Ok(stream(self.shared.parts.store.clone(), self.shared.parts.clock.clone(), id, after))
    }

    /// What the agent of this task and those of its children, or of the tasks that wait for it, have said to each other
    /// about them: at most `limit` (1 to 100) messages in the order in which they were written, after where a page before
    /// ended.
    ///
    /// # Errors
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

    /// The feed after this position, or from now on: the events of all the caller's tasks, of everybody's for who may see
    /// all. Those that are there come first, then those that come; it ends with the [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// `InvalidInput` naming `after` when this store never gave such a position; `Conflict` naming it when events that
    /// came after it were removed since.
    pub async fn feed(&self, caller: &Caller, after: Option<EventPosition>) -> Result<Feed> {
        let owner = if caller.may_touch(None) { None } else { caller.owner() };
        feed::open(self.shared.clone(), owner, after).await
    }

    /// Waits until a task has ended.
    ///
    /// # Errors
    /// `NotFound`, also when it is deleted meanwhile.
    pub async fn wait(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        self.task(caller, id).await?;
        wait_for_end(self.shared.parts.store.as_ref(), self.shared.parts.clock.as_ref(), id).await
    }

    /// What the registered agents say of themselves.
    pub fn agents(&self) -> Vec<AgentDescriptor> {
        self.shared.parts.registry.descriptors()
    }

    /// Who this engine is in the leases of the tasks that it holds.
    pub fn worker(&self) -> WorkerId {
        self.shared.worker
    }

    /// How many tasks run at once here.
    pub fn workers(&self) -> usize {
        self.shared.parts.workers
    }

    /// How many tasks this process holds now: those that run, and those that were claimed in advance.
    pub fn held(&self) -> usize {
        self.shared.running.keys().len()
    }

    /// How long the task has been due that has waited longest for any worker, here or elsewhere; nothing when none is
    /// due. A lease that ran out and that nobody took back counts too.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn overdue(&self) -> Result<Option<Duration>> {
        let parts = &self.shared.parts;
        let due = parts.store.next_due(&parts.registry.names()).await?;
        Ok(due.and_then(|due| (parts.clock.now() - due).to_std().ok()))
    }

    /// Whether somebody works for each agent, in this process or another, in the order of [`agents`](Self::agents). Nothing
    /// where engines have neither an [`AgentStore`] nor a [`Cache`] in common, or these are away.
    pub async fn agent_statuses(&self) -> Option<Vec<AgentStatus>> {
        agent_status::read(&self.shared).await
    }

    /// Asks the store for something small: an error when it cannot be reached.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn reach_store(&self) -> Result<()> {
        self.shared.parts.store.get(TaskId::new()).await.map(|_| ())
    }

    /// Measures what the sources of these names measure, now.
    pub async fn snapshot_of(&self, sources: &[&str]) -> Snapshot {
        let wanted = |source: &&Arc<dyn MetricSource>| sources.contains(&source.name());
        let sources: Vec<_> = self.shared.parts.metric_sources.iter().filter(wanted).cloned().collect();
        collect_snapshot(&sources, self.shared.parts.clock.as_ref()).await
    }

    /// Measures everything now.
    pub async fn snapshot(&self) -> Snapshot {
        collect_snapshot(&self.shared.parts.metric_sources, self.shared.parts.clock.as_ref()).await
    }

    /// Where text comes from, if anywhere, for somebody who waits for it: in line with everybody else.
    pub fn model_for(&self, caller: &Caller) -> Option<Arc<dyn ModelBackend>> {
        let gate = self.shared.parts.model.as_ref();
        gate.map(|gate| gate.model_for(caller))
    }

    /// Name of this machine, which the samples of its metric history carry.
    pub fn host(&self) -> &str {
        &self.shared.parts.host
    }

    /// Where the metric history lives, if anywhere.
    pub fn metric_store(&self) -> Option<Arc<dyn MetricStore>> {
        self.shared.parts.metric_store.clone()
    }

    /// Where time comes from.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared.parts.clock.clone()
    }

    /// Where tasks live.
    pub(super) fn store(&self) -> &dyn TaskStore {
        self.shared.parts.store.as_ref()
    }

    /// What records spans.
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        self.shared.parts.tracer.clone()
    }

    /// Starts the workers, if there are to be any. Must be called in a tokio runtime; a second call does nothing, nor
    /// does one after the shutdown.
    pub fn start(&self) {
        if self.workers() == 0
            || self.shared.closing.is_cancelled()
            || self.shared.started.swap(true, Ordering::SeqCst)
        {
            return;
        }
        let (sender, receiver) = mpsc::channel(finisher::CAPACITY);
        let tracker = &self.shared.tracker;
        tracker.spawn(finisher::run(self.shared.clone(), receiver));
        tracker.spawn(heartbeat::run(self.shared.clone()));
        tracker.spawn(agent_status::give_signs(self.shared.clone()));
        tracker.spawn(claimer::run(self.shared.clone(), sender));
    }

    /// Stops: claims nothing more, hands back what has not begun, gives what runs `grace` to end, then asks it to
    /// stop and hands it back. Nothing of the engine runs any more when this returns.
    pub async fn shutdown(&self, grace: Duration) {
        let shared = &self.shared;
        shared.closing.cancel();
        let all = u32::try_from(shared.parts.workers).unwrap_or(u32::MAX);
        tokio::select! {
            _ = shared.slots.acquire_many(all) => {}
            () = shared.parts.clock.sleep(grace) => shared.running.stop_all(StopReason::Shutdown),
        }
        // The finisher ends when the claimer and the last worker hold no sender any more.
        shared.tracker.close();
        shared.tracker.wait().await;
    }
}

/// Whether one task among many cannot be retried, which is no reason to hold up the others.
fn is_passed_over(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Forbidden)
}

/// Whether `known` was asked for with the request that `asked` was made of. When it is to run is compared until it has
/// begun to: a retry gives it another time.
fn same_request(known: &Task, asked: &Task) -> bool {
    // Left out, it is the instant of the request, which is another each time. Stores may keep microseconds only.
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
