//! State that the client API, the workers and the background loops share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::background::supervisor::BackgroundTask;
use super::client::registry::AgentRegistry;
use super::events::log::EventLogReader;
use super::worker::attempt_duration::AttemptDurationEstimator;
use super::worker::dispatch::LocalDispatch;
use super::worker::in_flight::InFlightClaims;
use crate::admission_control::AdmissionControl;
use crate::domain::{AccessPolicy, Caller, ConcurrencyLimits, InstanceId, RetentionPolicy};
#[cfg(feature = "identity")]
use crate::identity::Identity;
use crate::metric_history::MetricHistory;
use crate::ports::{
    AgentStore, Cache, Clock, EventLog, IdentityStore, MetricSource, MetricStore, ScheduleStore, TaskQueue,
    TaskRecords, Tracer,
};
use crate::relay::Relay;

/// Ports and settings shared by the engine and its workers.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) queue: Arc<dyn TaskQueue>,
    pub(crate) records: Arc<dyn TaskRecords>,
    pub(crate) events: Arc<dyn EventLog>,
    pub(crate) identity_store: Option<Arc<dyn IdentityStore>>,
    #[cfg(feature = "identity")]
    pub(crate) identity: Option<Identity>,
    pub(crate) access: AccessPolicy,
    pub(crate) caller: Caller,
    pub(crate) schedule_store: Option<Arc<dyn ScheduleStore>>,
    pub(crate) retention: RetentionPolicy,
    pub(crate) relay: Option<Arc<Relay>>,
    pub(crate) metric_store: Option<Arc<dyn MetricStore>>,
    pub(crate) history: Option<Arc<MetricHistory>>,
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
    pub(crate) shutdown_grace: Duration,
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
    pub(crate) log: EventLogReader,
    pub(crate) dispatch: Arc<LocalDispatch>,
    pub(crate) attempt_duration: AttemptDurationEstimator,
    /// Cancelled when no more tasks may be claimed.
    pub(crate) closing: CancellationToken,
    /// Cancelled when no claim is held any more.
    pub(crate) closed: CancellationToken,
    pub(crate) tracker: TaskTracker,
    /// Indicates that the loops were started.
    pub(crate) started: AtomicBool,
    /// Loops of the embedder that have not been started.
    pub(crate) background: Mutex<Vec<BackgroundTask>>,
    /// Names of the loops that panicked.
    pub(crate) panicked: Mutex<Vec<&'static str>>,
}

impl Shared {
    /// Creates the state of an engine that has not started.
    pub(crate) fn new(parts: Parts, background: Vec<BackgroundTask>) -> Self {
        let (closing, tracker) = (CancellationToken::new(), TaskTracker::new());
        let (events, clock) = (parts.events.clone(), parts.clock.clone());
        Self {
            worker: InstanceId::new(),
            in_flight: InFlightClaims::default(),
            slots: Arc::new(Semaphore::new(parts.workers)),
            capacity_freed: Arc::default(),
            log: EventLogReader::new(events, clock, closing.clone(), tracker.clone()),
            dispatch: Arc::default(),
            attempt_duration: AttemptDurationEstimator::default(),
            closing,
            closed: CancellationToken::new(),
            tracker,
            started: AtomicBool::new(false),
            background: Mutex::new(background),
            panicked: Mutex::default(),
            parts,
        }
    }
}
