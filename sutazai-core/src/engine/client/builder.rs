//! Builder that assembles an engine from its ports.

use std::sync::Arc;
use std::time::Duration;

use super::engine::Engine;
use super::registry::AgentRegistry;
use crate::admission_control::{AdmissionControl, AdmissionControlConfig};
use crate::domain::{AccessPolicy, ConcurrencyLimits, LOCAL_HOST};
use crate::engine::shared::Parts;
use crate::error::{Error, Result};
use crate::ports::{
    Agent, AgentStore, Cache, Clock, IdentityStore, MetricSource, MetricStore, ModelBackend, SilentTracer,
    SystemClock, TaskStore, Tracer,
};

/// Default duration of a lease.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(10);

/// Returns the default number of tasks that run concurrently: the number of processors.
pub fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Settings and ports of an [`Engine`]. Only the task store is required.
#[derive(Debug)]
pub struct EngineBuilder {
    task_store: Option<Arc<dyn TaskStore>>,
    identity_store: Option<Arc<dyn IdentityStore>>,
    access: AccessPolicy,
    metric_store: Option<Arc<dyn MetricStore>>,
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
    limits: ConcurrencyLimits,
    max_pending_per_owner: Option<u32>,
}

impl EngineBuilder {
    pub(crate) fn new() -> Self {
        Self {
            task_store: None,
            identity_store: None,
            access: AccessPolicy::default(),
            metric_store: None,
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
            limits: ConcurrencyLimits::default(),
            max_pending_per_owner: None,
        }
    }

    /// Sets the task store, which is required.
    pub fn task_store(mut self, store: Arc<dyn TaskStore>) -> Self {
        self.task_store = Some(store);
        self
    }

    /// Sets the identity store: retries and schedules are then checked against the current permissions of their owner,
    /// and those of a disabled user run nothing. An unknown owner counts as a user whom the embedder manages.
    pub fn identity_store(mut self, store: Arc<dyn IdentityStore>) -> Self {
        self.identity_store = Some(store);
        self
    }

    /// Sets the permissions of the role `user`; default: all except those of admins.
    pub fn access(mut self, policy: AccessPolicy) -> Self {
        self.access = policy;
        self
    }

    /// Sets the metric history; without it agents see no trends.
    pub fn metric_store(mut self, store: Arc<dyn MetricStore>) -> Self {
        self.metric_store = Some(store);
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

    /// Registers an agent with the engine.
    pub fn agent(mut self, agent: Arc<dyn Agent>) -> Self {
        self.agents.push(agent);
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

    /// Builds the engine; nothing runs before [`Engine::start`].
    ///
    /// # Errors
    /// `InvalidInput` for a missing task store, a lease below 1 s, a limit of 0 or of an unknown agent, or an invalid
    /// agent: its name is taken or not in kebab case, or its schema is invalid.
    pub fn build(self) -> Result<Engine> {
        let store =
            self.task_store.ok_or_else(|| Error::invalid("task_store", "expected a store, got none"))?;
        if self.lease < Duration::from_secs(1) {
            return Err(Error::invalid("lease", format!("expected at least 1 s, got {:?}", self.lease)));
        }
        let mut registry = AgentRegistry::default();
        self.agents.into_iter().try_for_each(|agent| registry.add(agent))?;
        self.limits.validate()?;
        let names = registry.names();
        if let Some(unknown) = self.limits.per_agent.keys().find(|name| !names.contains(name)) {
            let why = format!("expected one of {}, got {unknown:?}", names.join(", "));
            return Err(Error::invalid("per_agent", why));
        }
        let controlled = |model| AdmissionControl::new(model, self.clock.clone(), &self.admission_control);
        Ok(Engine::new(Parts {
            store,
            identity_store: self.identity_store,
            access: self.access,
            metric_store: self.metric_store,
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
            limits: self.limits,
            max_pending_per_owner: self.max_pending_per_owner,
        }))
    }
}
