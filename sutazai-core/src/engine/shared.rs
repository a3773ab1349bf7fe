//! State that the client API, the workers and the background loops share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::registry::AgentRegistry;
use super::events::log::EventLog;
use super::worker::attempt_duration::AttemptDurationEstimator;
use super::worker::dispatch::LocalDispatch;
use super::worker::in_flight::InFlightClaims;
use crate::admission_control::AdmissionControl;
use crate::domain::{AccessPolicy, ConcurrencyLimits, InstanceId};
use crate::ports::{AgentStore, Cache, Clock, IdentityStore, MetricSource, MetricStore, TaskStore, Tracer};

/// Ports and settings shared by the engine and its workers.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) identity_store: Option<Arc<dyn IdentityStore>>,
    pub(crate) access: AccessPolicy,
    pub(crate) metric_store: Option<Arc<dyn MetricStore>>,
    pub(crate) host: String,
    pub(crate) agent_store: Option<Arc<dyn AgentStore>>,
    pub(crate) cache: Option<Arc<dyn Cache>>,
    pub(crate) model: Option<AdmissionControl>,
    pub(crate) metric_sources: Vec<Arc<dyn MetricSource>>,
    pub(crate) registry: AgentRegistry,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tracer: Arc<dyn Tracer>,
    pub(crate) workers: usize,
    pub(crate) lease: Duration,
    pub(crate) limits: ConcurrencyLimits,
    pub(crate) max_pending_per_owner: Option<u32>,
}

/// The parts together with the runtime state of the engine.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) worker: InstanceId,
    pub(crate) in_flight: InFlightClaims,
    pub(crate) slots: Arc<Semaphore>,
    /// Notified after outcomes commit, when a concurrency limit may have capacity again.
    pub(crate) capacity_freed: Arc<Notify>,
    pub(crate) log: EventLog,
    pub(crate) dispatch: Arc<LocalDispatch>,
    pub(crate) attempt_duration: AttemptDurationEstimator,
    /// Cancelled when no more tasks may be claimed.
    pub(crate) closing: CancellationToken,
    /// Cancelled when no claim is held any more.
    pub(crate) closed: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// Indicates that the workers were started.
    pub(crate) started: AtomicBool,
}

impl Shared {
    /// Creates the state of an engine that has not started.
    pub(crate) fn new(parts: Parts) -> Self {
        let (closing, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (store, clock) = (parts.store.clone(), parts.clock.clone());
        Self {
            worker: InstanceId::new(),
            in_flight: InFlightClaims::default(),
            slots: Arc::new(Semaphore::new(parts.workers)),
            capacity_freed: Arc::default(),
            log: EventLog::new(store, clock, closing.clone(), tracker.clone()),
            dispatch: Arc::default(),
            attempt_duration: AttemptDurationEstimator::default(),
            closing,
            closed: CancellationToken::new(),
            tracker,
            started: AtomicBool::new(false),
            parts,
        }
    }
}
