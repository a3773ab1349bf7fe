//! What the routes work on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use sutazai_core::chat::Chat;
use sutazai_core::domain::Caller;
use sutazai_core::engine::Engine;
use sutazai_core::identity::Identity;
use sutazai_core::ports::ModelBackend;
use sutazai_core::schedules::Schedules;
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::auth::tickets::Tickets;
use crate::monitoring::Monitoring;
use crate::monitoring::refresh::{Refreshed, refresh};
use crate::protection::Protection;
use crate::readiness::{Readiness, ReadinessReport};

/// How long one measurement of the machine is shown to everybody who asks.
const SNAPSHOT_LIFE: Duration = Duration::from_secs(1);

/// An engine, who may use it, and what the server itself remembers. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct App {
    engine: Engine,
    identity: Option<Identity>,
    chat: Option<Chat>,
    schedules: Option<Schedules>,
    tickets: Arc<Tickets>,
    started: Instant,
    snapshot: Arc<Mutex<Option<(Instant, Bytes)>>>,
    protection: Arc<Protection>,
    monitoring: Option<Monitoring>,
    refreshed: Arc<Refreshed>,
    readiness: Arc<Readiness>,
}

impl App {
    /// With `identity`, callers sign in and see what is theirs. Without, everybody who reaches the server may do
    /// everything: for loopback addresses only.
    pub fn new(engine: Engine, identity: Option<Identity>) -> Self {
        Self {
            engine,
            identity,
            chat: None,
            schedules: None,
            tickets: Arc::default(),
            started: Instant::now(),
            snapshot: Arc::default(),
            monitoring: None,
            refreshed: Arc::default(),
            readiness: Arc::default(),
            protection: Arc::default(),
        }
    }

    /// The same, protected like this.
    pub fn protected(self, protection: Protection) -> Self {
        Self { protection: Arc::new(protection), ..self }
    }

    pub(crate) fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Keeps conversations with models.
    pub fn with_chat(mut self, chat: Chat) -> Self {
        self.chat = Some(chat);
        self
    }

    /// Keeps schedules. They fire where [`Schedules::run`] does.
    pub fn with_schedules(mut self, schedules: Schedules) -> Self {
        self.schedules = Some(schedules);
        self
    }

    /// Shows these figures at `/metrics`; without, there is nothing at that path.
    pub fn monitoring(mut self, monitoring: Monitoring) -> Self {
        self.monitoring = Some(monitoring);
        self
    }

    /// The folder where the database grows: `/health/ready` looks for space there; default: where the root is.
    pub fn data_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.readiness = Arc::new(Readiness::of(folder.into()));
        self
    }

    /// The figures, if they are shown.
    pub(crate) fn shown_metrics(&self) -> Option<&Monitoring> {
        self.monitoring.as_ref()
    }

    /// Asks for the figures that nobody counts, as far as they are some seconds old.
    pub(crate) async fn refresh_metrics(&self) {
        refresh(self, &self.refreshed).await;
    }

    /// Whether the server can do its work.
    pub(crate) async fn readiness(&self) -> ReadinessReport {
        self.readiness.report(&self.engine).await
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Identity, if callers sign in here.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Identity, for the routes that are about nothing else.
    pub(crate) fn require_identity(&self) -> Result<&Identity> {
        self.identity().ok_or_else(|| Error::new(ErrorKind::Unsupported, "this server runs without users"))
    }

    /// Conversations, for the routes that are about nothing else.
    pub(crate) fn chat(&self) -> Result<&Chat> {
        let missing = || Error::new(ErrorKind::Unsupported, "this server keeps no conversations");
        self.chat.as_ref().ok_or_else(missing)
    }

    /// Schedules, for the routes that are about nothing else.
    pub(crate) fn schedules(&self) -> Result<&Schedules> {
        let missing = || Error::new(ErrorKind::Unsupported, "this server keeps no schedules");
        self.schedules.as_ref().ok_or_else(missing)
    }

    /// The models, for this caller.
    pub(crate) fn model_for(&self, caller: &Caller) -> Result<Arc<dyn ModelBackend>> {
        let missing = || Error::unavailable("no model backend is configured");
        self.engine.model_for(caller).ok_or_else(missing)
    }

    /// The tickets that are out.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.tickets
    }

    /// How long this app has existed.
    pub(crate) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The machine now, as JSON. However many ask, it is measured about once a second.
    pub(crate) async fn snapshot(&self) -> Result<Bytes> {
        let mut kept = self.snapshot.lock().await;
        match kept.as_ref() {
            Some((taken, json)) if taken.elapsed() < SNAPSHOT_LIFE => Ok(json.clone()),
            _ => {
                let json = Bytes::from(serde_json::to_vec(&self.engine.snapshot().await)?);
                *kept = Some((Instant::now(), json.clone()));
                Ok(json)
            }
        }
    }
}
