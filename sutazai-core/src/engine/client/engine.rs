//! Inbound API of the engine, called by embedders, the HTTP server and the command line.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;

use super::builder::EngineBuilder;
use crate::admission_control::{AdmissionControl, ModelLoad};
use crate::domain::{
    AgentDescriptor, AgentMessage, AgentStatus, Backlog, Caller, EventOffset, InstanceId, MetricPoint, Page,
    PageLimit, PageRequest, Permission, Snapshot, Task, TaskDefaults, TaskId, TaskQuery, TaskStatistics,
    TaskStatus, TaskSummary, UserId,
};
use crate::engine::background::agent_liveness;
use crate::engine::background::supervisor::BackgroundTask;
use crate::engine::events::log::EventLogSubscription;
use crate::engine::events::stream::{EventStream, stream, wait_for_end};
use crate::engine::result_cache;
use crate::engine::shared::{Parts, Shared};
use crate::error::{Error, ErrorKind, Result};
#[cfg(feature = "identity")]
use crate::identity::Identity;
use crate::ports::{
    Agent, Clock, MetricSource, MetricStore, ModelBackend, SeriesQuery, TaskRecords, Tracer, collect_snapshot,
};
use crate::schedules::Schedules;
use crate::validation::time_of_listing;

/// Task engine: accepts tasks, reports their state and runs them.
///
/// Cloning is cheap; all clones share one engine.
///
/// # Cancel safety
/// A method that only reads can be dropped at any time. A method that changes something has its whole effect or none,
/// possibly after the future is dropped; to learn which, read the task. Exceptions are named at the methods.
///
/// # Panics
/// Futures may need the Tokio runtime in which the engine was started, and may panic when they are polled outside of
/// one. Agents that panic fail their attempt only.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use sutazai_core::Result;
/// use sutazai_core::domain::{Caller, TaskQuery};
/// use sutazai_core::engine::Engine;
/// use sutazai_core::ports::AgentContext;
/// use sutazai_core::typed_agent::agent;
///
/// async fn double(numbers: BTreeMap<String, i64>, _: AgentContext) -> Result<i64> {
///     Ok(numbers.values().sum::<i64>() * 2)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let engine = Engine::builder().agent(agent("doubler", double)).start().await?;
/// let task = engine.submit("doubler", BTreeMap::from([("one", 1), ("two", 2)])).await?;
/// assert_eq!(task.output::<i64>().await?, 6);
///
/// let query = TaskQuery::default();
/// assert_eq!(engine.tasks(&Caller::System, query).await?.items.len(), 1);
/// engine.shutdown().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Engine {
    pub(crate) shared: Arc<Shared>,
}

impl Engine {
    /// Creates a builder with default settings.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::new()
    }

    pub(crate) fn new(parts: Parts, background: Vec<BackgroundTask>) -> Self {
        Self { shared: Arc::new(Shared::new(parts, background)) }
    }

    /// Requires the permission by the caller's role or scopes and the operator's policy.
    ///
    /// # Errors
    /// `Forbidden` if the caller lacks the permission.
    pub fn require(&self, caller: &Caller, permission: Permission) -> Result<()> {
        self.shared.parts.access.require(caller, permission)
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
    /// Those of the store.
    pub async fn tasks(&self, caller: &Caller, query: TaskQuery) -> Result<Page<Task, TaskId>> {
        self.shared.parts.records.list(&visible(caller, query)).await
    }

    /// Returns one page of summaries of tasks, newest first; users see only their own. Unlike [`tasks`](Self::tasks) it
    /// reads neither payloads nor results.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn task_summaries(
        &self,
        caller: &Caller,
        query: TaskQuery,
    ) -> Result<Page<TaskSummary, TaskId>> {
        self.shared.parts.records.summaries(&visible(caller, query)).await
    }

    /// Cancels a task: a pending one ends at once, a running one as soon as its agent reacts.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` if it has already ended.
    pub async fn cancel(&self, caller: &Caller, id: TaskId) -> Result<Task> {
        self.task(caller, id).await?;
        let now = self.shared.parts.clock.now();
        let task = self.shared.parts.records.cancel(id, now).await?;
        if task.cancel_requested {
            // The task may run in this process, where it can be cancelled without waiting for the heartbeat.
            self.shared.in_flight.cancel(&task, self.shared.worker, now);
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
        self.shared.parts.records.retry(id, self.shared.parts.clock.now()).await
    }

    /// Returns every failed task of the caller, or of one agent, to the queue and returns their number. Tasks that are
    /// retried or deleted concurrently, and those that may not be retried, are skipped.
    ///
    /// # Errors
    /// Those of the store; tasks retried by then stay so, and another call continues with the rest.
    ///
    /// # Cancel safety
    /// A dropped future may have retried some of the tasks; another call continues with the rest.
    pub async fn retry_failed(&self, caller: &Caller, agent: Option<String>) -> Result<u64> {
        let mut query = TaskQuery {
            statuses: vec![TaskStatus::Failed],
            agent,
            page: PageLimit::MAX.into(),
            ..TaskQuery::default()
        };
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
            query.page.cursor = page.next;
            if page.next.is_none() {
                return Ok(retried);
            }
        }
    }

    /// Counts the tasks of an owner, or of all, by agent and status; reads every one of them. Users see only their own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn statistics(&self, caller: &Caller, owner: Option<UserId>) -> Result<TaskStatistics> {
        let owner = if caller.may_touch(owner) { owner } else { caller.owner() };
        self.shared.parts.records.statistics(owner).await
    }

    /// Returns the size and age of the backlog over all owners.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn backlog(&self) -> Result<Backlog> {
        self.shared.parts.queue.backlog().await
    }

    /// Removes an ended task with its events.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` if it has not ended.
    pub async fn delete(&self, caller: &Caller, id: TaskId) -> Result<()> {
        self.task(caller, id).await?;
        result_cache::changed(&self.shared.parts, id).await;
        self.shared.parts.records.delete(id).await
    }

    /// Streams the events of a task with a sequence above `after`: the stored ones, then new ones. Ends after the last
    /// event of an ended task.
    ///
    /// # Errors
    /// `NotFound` if there is no such task, or the caller may not see it.
    ///
    /// # Cancel safety
    /// Taking the next event can be cancelled at any time; no event is lost.
    pub async fn events(&self, caller: &Caller, id: TaskId, after: u64) -> Result<EventStream> {
        self.task(caller, id).await?;
        let parts = &self.shared.parts;
        Ok(stream((parts.records.clone(), parts.events.clone()), parts.clock.clone(), id, after))
    }

    /// Returns one page of the messages between the agent of this task and the agents of its children or parents about
    /// them, in the order in which they were recorded.
    ///
    /// # Errors
    /// `NotFound`, also for a task that the caller may not see.
    pub async fn agent_messages(
        &self,
        caller: &Caller,
        id: TaskId,
        page: PageRequest<u64>,
    ) -> Result<Page<AgentMessage, u64>> {
        self.task(caller, id).await?;
        self.shared.parts.events.agent_messages(id, page).await
    }

    /// Streams the event log after this position, or from now on: the events of the caller's tasks, or of all tasks for
    /// callers who may see all. Stored events come first, then new ones, until [`shutdown`](Self::shutdown).
    ///
    /// # Errors
    /// `InvalidInput` naming `after` if this store never returned such a position; `Conflict` naming it if later events
    /// were removed since.
    ///
    /// # Cancel safety
    /// That of [`events`](Self::events).
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
        let parts = &self.shared.parts;
        wait_for_end((parts.records.as_ref(), parts.events.as_ref()), parts.clock.as_ref(), id).await
    }

    /// Registers an agent while the engine runs. It takes the place of one that has its name, whose running attempts go on;
    /// pending tasks run with the new one.
    ///
    /// # Errors
    /// `InvalidInput` if its name is not in kebab case, or if a schema is invalid.
    pub fn register(&self, agent: impl Agent) -> Result<()> {
        self.shared.parts.registry.replace(Arc::new(agent))
    }

    /// Returns the descriptions of the registered agents.
    pub fn agents(&self) -> Vec<AgentDescriptor> {
        self.shared.parts.registry.descriptors()
    }

    /// Returns the settings of tasks of this agent whose requests leave them out; those of [`TaskDefaults::default`] if
    /// the agent is not registered here.
    pub fn task_defaults(&self, agent: &str) -> TaskDefaults {
        self.shared.parts.registry.defaults(agent).unwrap_or_default()
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
        let due = parts.queue.next_due(&parts.registry.names()).await?;
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
        self.shared.parts.records.get(TaskId::new()).await.map(|_| ())
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

    /// Returns how many requests the model answers and how many wait for it; `None` without a model.
    pub fn model_load(&self) -> Option<ModelLoad> {
        self.shared.parts.model.as_ref().map(AdmissionControl::load)
    }

    /// Returns the number of due tasks of the same owner that run before this one, at most 1,000; `None` unless the task is
    /// due and pending, and waits for no other task. Tasks of other owners run in between.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tasks_ahead(&self, task: &Task) -> Result<Option<u32>> {
        let parts = &self.shared.parts;
        let now = parts.clock.now();
        if task.status != TaskStatus::Pending || task.waiting_for > 0 || task.run_at > now {
            return Ok(None);
        }
        parts.queue.ahead(task, now).await.map(Some)
    }

    /// Returns the name of this machine, which its metric samples carry.
    pub fn host(&self) -> &str {
        &self.shared.parts.host
    }

    /// Returns the metric history, if there is one.
    pub fn metric_store(&self) -> Option<Arc<dyn MetricStore>> {
        self.shared.parts.metric_store.clone()
    }

    /// Returns the history of one metric series of this machine, from `from` inclusive to `to` exclusive, in at most
    /// `max_points` points. A series that does not exist has none.
    ///
    /// # Errors
    /// `Unsupported` without a metric store; those of the store.
    pub async fn metric_points(
        &self,
        series: &str,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        max_points: u32,
    ) -> Result<Vec<MetricPoint>> {
        let query = SeriesQuery {
            host: self.shared.parts.host.clone(),
            series: series.to_owned(),
            from: time_of_listing(from),
            to: time_of_listing(to),
            max_points,
        };
        self.require_metric_store()?.range(&query).await
    }

    /// Lists the metric series of this machine that begin with `prefix`, in ascending order.
    ///
    /// # Errors
    /// `Unsupported` without a metric store; those of the store.
    pub async fn metric_series(&self, prefix: &str) -> Result<Vec<String>> {
        self.require_metric_store()?.series(self.host(), prefix).await
    }

    fn require_metric_store(&self) -> Result<&dyn MetricStore> {
        let missing = || Error::new(ErrorKind::Unsupported, "this server keeps no history of metrics");
        self.shared.parts.metric_store.as_deref().ok_or_else(missing)
    }

    /// Returns the caller of the methods that name none, such as [`submit`](Self::submit).
    pub fn caller(&self) -> &Caller {
        &self.shared.parts.caller
    }

    /// Returns the schedules for tasks of this engine; `None` without a schedule store.
    pub fn schedules(&self) -> Option<Schedules> {
        let store = self.shared.parts.schedule_store.clone()?;
        Some(Schedules::new(store, self.clone()))
    }

    /// Returns the use cases of identity; `None` if the engine is used without users.
    #[cfg(feature = "identity")]
    pub fn identity(&self) -> Option<&Identity> {
        self.shared.parts.identity.as_ref()
    }

    /// Returns the clock of the engine.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.shared.parts.clock.clone()
    }

    /// Returns the records of tasks.
    pub(crate) fn records(&self) -> &dyn TaskRecords {
        self.shared.parts.records.as_ref()
    }

    /// Returns the tracer of the engine.
    pub fn tracer(&self) -> Arc<dyn Tracer> {
        self.shared.parts.tracer.clone()
    }
}

/// Restricts a query to what the caller may see, and its times to those that every database supports.
fn visible(caller: &Caller, mut query: TaskQuery) -> TaskQuery {
    for at in [&mut query.created_after, &mut query.created_before].into_iter().flatten() {
        *at = time_of_listing(*at);
    }
    if !caller.may_touch(query.owner) {
        query.owner = caller.owner();
    }
    query
}

/// Returns whether this error concerns one task only, so that the remaining tasks are still retried.
fn is_skippable(e: &Error) -> bool {
    matches!(e.kind(), ErrorKind::Conflict | ErrorKind::NotFound | ErrorKind::Forbidden)
}
