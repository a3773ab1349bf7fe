//! Shared state of the routes: the engine, the optional services, and what the server itself keeps in memory.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures::FutureExt;
use sutazai_bodies::readiness::ReadinessReport;
use sutazai_core::chat::Chat;
use sutazai_core::documents::Documents;
use sutazai_core::domain::{Caller, UserId};
use sutazai_core::engine::Engine;
use sutazai_core::identity::Identity;
use sutazai_core::ports::ModelBackend;
use sutazai_core::schedules::Schedules;
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::auth::tickets::Tickets;
use crate::monitoring::Monitoring;
use crate::monitoring::refresh::{Refreshed, refresh};
use crate::monitoring::request_metrics::RequestMetrics;
use crate::openapi::query_parameters::QueryParameters;
use crate::readiness::Readiness;
use crate::security::SecuritySettings;
use crate::security::address_lockout::AddressLockout;
use crate::security::log_throttle::LogThrottle;
use crate::security::request_memory::RequestMemory;
use crate::security::uploads::Uploads;
use crate::streaming::snapshots::SnapshotFeed;
use crate::streaming::streams::Streams;

/// Time for which one snapshot of the machine is served to all callers, so that polling clients do not repeat the
/// measurement.
const SNAPSHOT_TTL: Duration = Duration::from_secs(1);

/// Application state of a router: an engine, optional identity, chat, documents and schedules, and the server's
/// limits and caches. Cheap to clone; clones share all state.
#[derive(Debug, Clone)]
pub struct App {
    // One `Arc`: every layer around a route holds an `App`, and axum clones each of them for every request.
    parts: Arc<Parts>,
}

#[derive(Debug, Clone)]
struct Parts {
    engine: Engine,
    identity: Option<Identity>,
    chat: Option<Chat>,
    documents: Option<Documents>,
    schedules: Option<Schedules>,
    tickets: Arc<Tickets>,
    address_lockout: Arc<AddressLockout>,
    started: Instant,
    snapshot: Arc<Mutex<Option<(Instant, Bytes)>>>,
    protection: Arc<SecuritySettings>,
    request_memory: Arc<RequestMemory>,
    uploads: Arc<Uploads>,
    proxy_warnings: Arc<LogThrottle>,
    streams: Arc<Streams>,
    snapshots: Arc<SnapshotFeed>,
    monitoring: Option<Monitoring>,
    answers: Arc<RequestMetrics>,
    refreshed: Arc<Refreshed>,
    readiness: Arc<Readiness>,
    document: Bytes,
    query_parameters: Arc<QueryParameters>,
}

impl App {
    /// Creates the state for `engine`, with its schedules. If the engine has an identity, callers authenticate and see
    /// only their own data. Otherwise anyone who reaches the server may do everything, so bind it to a loopback address
    /// only.
    pub fn new(engine: Engine) -> Self {
        let (identity, schedules) = (engine.identity().cloned(), engine.schedules());
        let parts = Parts {
            engine,
            identity,
            schedules,
            chat: None,
            documents: None,
            tickets: Arc::default(),
            address_lockout: Arc::default(),
            started: Instant::now(),
            snapshot: Arc::default(),
            monitoring: None,
            answers: Arc::default(),
            refreshed: Arc::default(),
            readiness: Arc::default(),
            protection: Arc::default(),
            request_memory: RequestMemory::new(SecuritySettings::default().body_memory).into(),
            uploads: Arc::default(),
            proxy_warnings: Arc::default(),
            streams: Arc::default(),
            snapshots: Arc::default(),
            document: Bytes::new(),
            query_parameters: Arc::default(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// Replaces the security settings: rate limits, trusted proxies, CORS origins, timeouts and memory limits.
    #[must_use]
    pub fn security(self, protection: SecuritySettings) -> Self {
        self.with(|parts| {
            parts.request_memory = RequestMemory::new(protection.body_memory).into();
            parts.protection = Arc::new(protection);
        })
    }

    /// Memory budget of request bodies and large responses.
    pub(crate) fn request_memory(&self) -> &RequestMemory {
        &self.parts.request_memory
    }

    /// Counter of the open streams of each user.
    pub(crate) fn streams(&self) -> &Arc<Streams> {
        &self.parts.streams
    }

    /// Feed of the streams of snapshots.
    pub(crate) fn snapshots(&self) -> &Arc<SnapshotFeed> {
        &self.parts.snapshots
    }

    /// Throttle of the warning about a proxy that is not trusted.
    pub(crate) fn proxy_warnings(&self) -> &LogThrottle {
        &self.parts.proxy_warnings
    }

    /// Semaphores that bound concurrent uploads.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.parts.uploads
    }

    pub(crate) fn protection(&self) -> &SecuritySettings {
        &self.parts.protection
    }

    /// Lets callers authenticate with `identity`, for an engine that was built without one. Whoever serves the router then
    /// runs [`Identity::follow_ended_sessions`] meanwhile, as the engine would.
    #[must_use]
    pub fn authenticate_with(self, identity: Identity) -> Self {
        self.with(|parts| parts.identity = Some(identity))
    }

    /// Enables conversations with models, stored by `chat`.
    #[must_use]
    pub fn chat(self, chat: Chat) -> Self {
        self.with(|parts| parts.chat = Some(chat))
    }

    /// Enables documents and their search.
    #[must_use]
    pub fn documents(self, documents: Documents) -> Self {
        self.with(|parts| parts.documents = Some(documents))
    }

    /// Serves these metrics at `/metrics`; without this call the path responds with 404.
    #[must_use]
    pub fn monitoring(self, monitoring: Monitoring) -> Self {
        self.with(|parts| parts.monitoring = Some(monitoring))
    }

    /// Sets the folder where the database grows; `/health/ready` checks the free space of its file system. Default:
    /// `/`.
    #[must_use]
    pub fn data_folder(self, folder: impl Into<PathBuf>) -> Self {
        self.with(|parts| parts.readiness = Arc::new(parts.readiness.with_folder(folder.into())))
    }

    /// Adds a readiness check of an optional dependency under `name`. While `ping` fails, `/health/ready` reports
    /// the server as degraded, not as unhealthy.
    #[must_use]
    pub fn readiness_check<F>(self, name: &'static str, reach: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let reach = Arc::new(move || reach().boxed());
        self.with(|parts| parts.readiness = Arc::new(parts.readiness.with_other(name, reach)))
    }

    /// Stores the OpenAPI description that `GET /api/openapi.json` returns.
    pub(crate) fn described(self, document: String) -> Self {
        self.with(|parts| parts.document = document.into())
    }

    /// Query parameters that each route accepts.
    pub(crate) fn query_parameters(&self) -> &QueryParameters {
        &self.parts.query_parameters
    }

    /// OpenAPI description of this API, as JSON.
    pub(crate) fn document(&self) -> Bytes {
        self.parts.document.clone()
    }

    /// Metrics recorder, when `/metrics` is enabled.
    pub(crate) fn shown_metrics(&self) -> Option<&Monitoring> {
        self.parts.monitoring.as_ref()
    }

    /// Request metrics: counters and histograms by route, method and status.
    pub(crate) fn answers(&self) -> &RequestMetrics {
        &self.parts.answers
    }

    /// Updates the gauges that nothing increments (queue, users, machine) when they are older than 5 seconds.
    pub(crate) async fn refresh_metrics(&self) {
        refresh(self.engine(), self.identity(), &self.parts.refreshed).await;
    }

    /// Readiness report: whether each dependency works, cached for 1 second.
    pub(crate) async fn readiness(&self) -> ReadinessReport {
        self.parts.readiness.report(&self.parts.engine).await
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.parts.engine
    }

    /// Identity service, when callers authenticate on this server.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.parts.identity.as_ref()
    }

    /// Usernames of these owners, for callers who may see the tasks of all users; none for others.
    pub(crate) async fn owner_names(
        &self,
        caller: &Caller,
        owners: impl IntoIterator<Item = Option<UserId>>,
    ) -> Result<HashMap<UserId, String>> {
        let owners: BTreeSet<UserId> = owners.into_iter().flatten().collect();
        match self.identity() {
            Some(identity) if caller.may_touch(None) && !owners.is_empty() => {
                identity.usernames(&owners.into_iter().collect::<Vec<_>>()).await
            }
            _ => Ok(HashMap::new()),
        }
    }

    /// Identity service, for routes that require it; `Unsupported` when the server runs without users.
    pub(crate) fn require_identity(&self) -> Result<&Identity> {
        self.identity().ok_or_else(|| Error::new(ErrorKind::Unsupported, "this server runs without users"))
    }

    /// Conversations, for routes that require them; `Unsupported` when they are not enabled.
    pub(crate) fn require_chat(&self) -> Result<&Chat> {
        let missing = || Error::new(ErrorKind::Unsupported, "conversations are not enabled on this server");
        self.parts.chat.as_ref().ok_or_else(missing)
    }

    /// Documents, for routes that require them; `Unsupported` when they are not enabled.
    pub(crate) fn require_documents(&self) -> Result<&Documents> {
        let missing = || Error::new(ErrorKind::Unsupported, "documents are not enabled on this server");
        self.parts.documents.as_ref().ok_or_else(missing)
    }

    /// Schedules, for routes that require them; `Unsupported` when they are not enabled.
    pub(crate) fn require_schedules(&self) -> Result<&Schedules> {
        let missing = || Error::new(ErrorKind::Unsupported, "schedules are not enabled on this server");
        self.parts.schedules.as_ref().ok_or_else(missing)
    }

    /// Model backend with admission control on behalf of `caller`; `Unavailable` when none is configured.
    pub(crate) fn model_for(&self, caller: &Caller) -> Result<Arc<dyn ModelBackend>> {
        let missing = || Error::unavailable("no model backend is configured");
        self.parts.engine.model_for(caller).ok_or_else(missing)
    }

    /// Stream tickets that are issued and not yet redeemed.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.parts.tickets
    }

    /// Address lockout after too many failed authentications.
    pub(crate) fn address_lockout(&self) -> &AddressLockout {
        &self.parts.address_lockout
    }

    /// Time since this state was created.
    pub(crate) fn uptime(&self) -> Duration {
        self.parts.started.elapsed()
    }

    /// Snapshot of the machine as JSON, at most 1 second old. The lock is held while measuring, so that concurrent
    /// callers share one measurement.
    pub(crate) async fn snapshot(&self) -> Result<Bytes> {
        self.snapshot_within(SNAPSHOT_TTL).await
    }

    /// Snapshot of the machine as JSON, measured now, which later calls of [`snapshot`](Self::snapshot) share.
    pub(crate) async fn fresh_snapshot(&self) -> Result<Bytes> {
        self.snapshot_within(Duration::ZERO).await
    }

    async fn snapshot_within(&self, age: Duration) -> Result<Bytes> {
        let mut kept = self.parts.snapshot.lock().await;
        match kept.as_ref() {
            Some((taken, json)) if taken.elapsed() < age => Ok(json.clone()),
            _ => {
                let snapshot = self.parts.engine.snapshot().await;
                let json = Bytes::from(serde_json::to_vec(&snapshot).map_err(Error::json)?);
                *kept = Some((Instant::now(), json.clone()));
                Ok(json)
            }
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Parts)) -> Self {
        change(Arc::make_mut(&mut self.parts));
        self
    }
}
