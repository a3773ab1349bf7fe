//! Builder that assembles an engine from its ports.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::registry::AgentRegistry;
use crate::admission_control::{AdmissionControl, AdmissionControlConfig};
use crate::domain::{AccessPolicy, Caller, ConcurrencyLimits, LOCAL_HOST, RetentionPolicy};
use crate::engine::background::supervisor::BackgroundTask;
use crate::engine::shared::Parts;
use crate::error::{Error, Result};
#[cfg(feature = "identity")]
use crate::identity::Identity;
use crate::memory::MemoryTaskStore;
use crate::metric_history::{MetricHistory, MetricHistoryConfig};
use crate::ports::{
    Agent, AgentStore, Cache, Clock, EventLog, IdentityStore, MessageBus, MetricSource, MetricStore,
    ModelBackend, RelayStore, ScheduleStore, SilentTracer, SystemClock, TaskQueue, TaskRecords, TaskStore,
    Tracer,
};
use crate::relay::Relay;

/// Default duration of a lease.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);
/// Default time that running tasks get to end when the engine shuts down.
pub const DEFAULT_SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Returns the default number of tasks that run concurrently: the number of processors.
pub fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Settings and ports of an [`Engine`]. Everything has a default: without a store, tasks are kept in memory.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use sutazai_core::domain::RetentionPolicy;
/// use sutazai_core::engine::Engine;
/// use sutazai_core::memory::{MemoryScheduleStore, MemoryTaskStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let week = Duration::from_secs(7 * 24 * 3600);
/// let engine = Engine::builder()
///     .task_store(Arc::new(MemoryTaskStore::new()))
///     .schedule_store(Arc::new(MemoryScheduleStore::new()))
///     .retention(RetentionPolicy { ended: Some(week), failed: None })
///     .workers(2)
///     .start()
///     .await?;
/// assert!(engine.schedules().is_some());
/// engine.shutdown().await
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing before `build` or `start`"]
pub struct EngineBuilder {
    task_queue: Option<Arc<dyn TaskQueue>>,
    task_records: Option<Arc<dyn TaskRecords>>,
    event_log: Option<Arc<dyn EventLog>>,
    identity_store: Option<Arc<dyn IdentityStore>>,
    #[cfg(feature = "identity")]
    identity: Option<Identity>,
    access: AccessPolicy,
    caller: Caller,
    schedule_store: Option<Arc<dyn ScheduleStore>>,
    retention: RetentionPolicy,
    message_bus: Option<(Arc<dyn MessageBus>, Arc<dyn RelayStore>)>,
    metric_store: Option<Arc<dyn MetricStore>>,
    metric_history: MetricHistoryConfig,
    host: String,
    agent_store: Option<Arc<dyn AgentStore>>,
    cache: Option<Arc<dyn Cache>>,
    model: Option<Arc<dyn ModelBackend>>,
    admission_control: AdmissionControlConfig,
    metric_sources: Vec<Arc<dyn MetricSource>>,
    agents: Vec<Arc<dyn Agent>>,
    clock: Arc<dyn Clock>,
    tracer: Arc<dyn Tracer>,
    workers: usize,
    lease: Duration,
    shutdown_grace: Duration,
    limits: ConcurrencyLimits,
    max_pending_per_owner: Option<u32>,
    background: Vec<BackgroundTask>,
}

impl EngineBuilder {
    pub(crate) fn new() -> Self {
        Self {
            task_queue: None,
            task_records: None,
            event_log: None,
            identity_store: None,
            #[cfg(feature = "identity")]
            identity: None,
            access: AccessPolicy::default(),
            caller: Caller::System,
            schedule_store: None,
            retention: RetentionPolicy::default(),
            message_bus: None,
            metric_store: None,
            metric_history: MetricHistoryConfig::default(),
            host: LOCAL_HOST.to_owned(),
            agent_store: None,
            cache: None,
            model: None,
            admission_control: AdmissionControlConfig::default(),
            metric_sources: Vec::new(),
            agents: Vec::new(),
            clock: Arc::new(SystemClock),
            tracer: Arc::new(SilentTracer),
            workers: default_workers(),
            lease: DEFAULT_LEASE,
            shutdown_grace: DEFAULT_SHUTDOWN_GRACE,
            limits: ConcurrencyLimits::default(),
            max_pending_per_owner: None,
            background: Vec::new(),
        }
    }

    /// Sets the task store; default: a [`MemoryTaskStore`], whose tasks are lost when the process ends.
    pub fn task_store(mut self, store: Arc<dyn TaskStore>) -> Self {
        self.task_queue = Some(store.clone());
        self.task_records = Some(store.clone());
        self.event_log = Some(store);
        self
    }

    /// Replaces the task queue, for instance by a mock; default: the task store.
    pub fn task_queue(mut self, queue: Arc<dyn TaskQueue>) -> Self {
        self.task_queue = Some(queue);
        self
    }

    /// Replaces the records of tasks, for instance by a mock; default: the task store.
    pub fn task_records(mut self, records: Arc<dyn TaskRecords>) -> Self {
        self.task_records = Some(records);
        self
    }

    /// Replaces the event log, for instance by a mock; default: the task store.
    pub fn event_log(mut self, events: Arc<dyn EventLog>) -> Self {
        self.event_log = Some(events);
        self
    }

    /// Sets the identity store: retries and schedules are then checked against the current permissions of their owner,
    /// and those of a disabled user run nothing. An unknown owner counts as a user whom the embedder manages.
    pub fn identity_store(mut self, store: Arc<dyn IdentityStore>) -> Self {
        self.identity_store = Some(store);
        self
    }

    /// Sets the use cases of identity, and with them the [identity store](Self::identity_store). The engine polls for
    /// sessions that were revoked in other processes.
    #[cfg(feature = "identity")]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity_store = Some(identity.store());
        self.identity = Some(identity);
        self
    }

    /// Sets the caller of [`Engine::submit`] and other methods that name none; default: [`Caller::System`], for programs
    /// without users.
    pub fn caller(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }

    /// Sets the store of schedules, which the engine fires; without it there are none.
    pub fn schedule_store(mut self, store: Arc<dyn ScheduleStore>) -> Self {
        self.schedule_store = Some(store);
        self
    }

    /// Sets how long ended tasks are kept; default: for ever.
    pub fn retention(mut self, policy: RetentionPolicy) -> Self {
        self.retention = policy;
        self
    }

    /// Sets the message bus to which the engine publishes the events of all tasks. `relay_store` keeps how far that is
    /// done; it must be of the same database as the task store.
    pub fn message_bus(mut self, bus: Arc<dyn MessageBus>, relay_store: Arc<dyn RelayStore>) -> Self {
        self.message_bus = Some((bus, relay_store));
        self
    }

    /// Sets the permissions of the role `user`; default: all except those of admins.
    pub fn access(mut self, policy: AccessPolicy) -> Self {
        self.access = policy;
        self
    }

    /// Sets the store of the metric history, in which the engine records the metric sources; without it agents see no
    /// trends.
    pub fn metric_store(mut self, store: Arc<dyn MetricStore>) -> Self {
        self.metric_store = Some(store);
        self
    }

    /// Sets how often the metric history is recorded, and for how long samples are kept.
    pub fn metric_history(mut self, config: MetricHistoryConfig) -> Self {
        self.metric_history = config;
        self
    }

    /// Sets the name of this machine, unique among those that share a metric store: agents read the history of this
    /// host, and analyses name it. Default [`LOCAL_HOST`], which suits a store that no other machine writes to.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = name.into();
        self
    }

    /// Sets the store of agent heartbeats; without it an engine does not know which agents other processes run.
    pub fn agent_store(mut self, store: Arc<dyn AgentStore>) -> Self {
        self.agent_store = Some(store);
        self
    }

    /// Sets a cache shared by several engines over one store; without it each queries the store.
    pub fn cache(mut self, cache: Arc<dyn Cache>) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Sets the model backend; without it agents have no model.
    pub fn model(mut self, model: Arc<dyn ModelBackend>) -> Self {
        self.model = Some(model);
        self
    }

    /// Sets the limits of admission control in front of the model; see [`AdmissionControl`].
    pub fn admission_control(mut self, config: AdmissionControlConfig) -> Self {
        self.admission_control = config;
        self
    }

    /// Adds a metric source for agents and snapshots.
    pub fn metric_source(mut self, source: Arc<dyn MetricSource>) -> Self {
        self.metric_sources.push(source);
        self
    }

    /// Registers an agent with the engine: a typed one, or any [`Agent`], also behind an `Arc`.
    pub fn agent(mut self, agent: impl Agent) -> Self {
        self.agents.push(Arc::new(agent));
        self
    }

    /// Sets the clock; default: the system clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the tracer that records requests, tasks and agents as spans; default: none are recorded.
    pub fn tracer(mut self, tracer: Arc<dyn Tracer>) -> Self {
        self.tracer = tracer;
        self
    }

    /// Sets the number of tasks that run concurrently; default: [`default_workers`]. With 0 nothing runs here:
    /// submitted tasks are left to other processes that share the store.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the duration of a lease; default [`DEFAULT_LEASE`]. The tasks of a dead worker are reaped after that.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets the time that running tasks get to end in [`Engine::shutdown`]; default [`DEFAULT_SHUTDOWN_GRACE`]. Tasks that
    /// have not ended by then are cancelled and released.
    pub fn shutdown_grace(mut self, grace: Duration) -> Self {
        self.shutdown_grace = grace;
        self
    }

    /// Sets the concurrency limits per owner and agent over all processes with the same limits; default: none but the
    /// number of workers.
    pub fn limits(mut self, limits: ConcurrencyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the maximum number of pending tasks per owner; submissions beyond it are rejected. Default: unlimited.
    pub fn max_pending_per_owner(mut self, max: u32) -> Self {
        self.max_pending_per_owner = Some(max);
        self
    }

    /// Adds a background task of the embedder: it starts with the engine, and the shutdown waits for it. It should end
    /// soon after the token is cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use sutazai_core::engine::Engine;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> sutazai_core::Result<()> {
    /// let engine = Engine::builder()
    ///     .background("backlog report", |engine, stop| async move {
    ///         let clock = engine.clock();
    ///         while stop.run_until_cancelled(clock.sleep(Duration::from_secs(60))).await.is_some() {
    ///             if let Ok(backlog) = engine.backlog().await {
    ///                 println!("{} tasks wait", backlog.tasks);
    ///             }
    ///         }
    ///     })
    ///     .start()
    ///     .await?;
    /// engine.shutdown().await
    /// # }
    /// ```
    pub fn background<F, Running>(mut self, name: &'static str, run: F) -> Self
    where
        F: FnOnce(Engine, CancellationToken) -> Running + Send + 'static,
        Running: Future<Output = ()> + Send + 'static,
    {
        self.background.push(BackgroundTask::new(name, run));
        self
    }

    /// Builds the engine and [starts](Engine::start) it.
    ///
    /// # Errors
    /// Those of [`build`](Self::build) and of [`Engine::start`].
    ///
    /// # Panics
    /// When it is called outside of a Tokio runtime.
    ///
    /// # Cancel safety
    /// That of [`Engine::start`]: if the future is dropped before it completes, nothing runs.
    pub async fn start(self) -> Result<Engine> {
        let engine = self.build()?;
        engine.start().await?;
        Ok(engine)
    }

    /// Builds the engine; nothing runs before [`Engine::start`].
    ///
    /// # Errors
    /// `InvalidInput` for a lease below 1 s, a limit of 0 or of an unknown agent, or an invalid
    /// agent: its name is taken or not in kebab case, or a schema is invalid.
    pub fn build(self) -> Result<Engine> {
        if self.lease < Duration::from_secs(1) {
            return Err(Error::invalid("lease", format!("expected at least 1 s, got {:?}", self.lease)));
        }
        let registry = AgentRegistry::default();
        self.agents.into_iter().try_for_each(|agent| registry.add(agent))?;
        self.limits.validate()?;
        let names = registry.names();
        if let Some(unknown) = self.limits.per_agent.keys().find(|name| !names.contains(name)) {
            let why = format!("expected one of {}, got {unknown:?}", names.join(", "));
            return Err(Error::invalid("per_agent", why));
        }
        let controlled = |model| AdmissionControl::new(model, self.clock.clone(), &self.admission_control);
        let memory = Arc::new(MemoryTaskStore::new());
        let queue = self.task_queue.unwrap_or_else(|| memory.clone());
        let records = self.task_records.unwrap_or_else(|| memory.clone());
        let events = self.event_log.unwrap_or(memory);
        let relay = self.message_bus.map(|(bus, relays)| {
            Relay::new((records.clone(), events.clone()), relays, bus, self.clock.clone())
        });
        let recorded = self.metric_store.clone().filter(|_| !self.metric_sources.is_empty());
        let history = recorded.map(|samples| {
            MetricHistory::new(samples, self.clock.clone(), self.host.clone(), self.metric_history)
        });
        let parts = Parts {
            queue,
            records,
            events,
            identity_store: self.identity_store,
            #[cfg(feature = "identity")]
            identity: self.identity,
            access: self.access,
            caller: self.caller,
            schedule_store: self.schedule_store,
            retention: self.retention,
            relay: relay.map(Arc::new),
            metric_store: self.metric_store,
            history: history.map(Arc::new),
            host: self.host,
            agent_store: self.agent_store,
            cache: self.cache,
            model: self.model.map(controlled),
            metric_sources: self.metric_sources,
            registry,
            clock: self.clock,
            tracer: self.tracer,
            workers: self.workers,
            lease: self.lease,
            shutdown_grace: self.shutdown_grace,
            limits: self.limits,
            max_pending_per_owner: self.max_pending_per_owner,
        };
        Ok(Engine::new(parts, self.background))
    }
}
