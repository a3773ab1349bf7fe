//! What the routes work on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use futures::FutureExt;
use sutazai_core::chat::Chat;
use sutazai_core::documents::Documents;
use sutazai_core::domain::Caller;
use sutazai_core::engine::Engine;
use sutazai_core::identity::Identity;
use sutazai_core::ports::ModelBackend;
use sutazai_core::schedules::Schedules;
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::auth::tickets::Tickets;
use crate::document::query_parameters::QueryParameters;
use crate::live::streams::Streams;
use crate::monitoring::Monitoring;
use crate::monitoring::answers::Answers;
use crate::monitoring::refresh::{Refreshed, refresh};
use crate::protection::Protection;
use crate::protection::log_throttle::LogThrottle;
use crate::protection::request_memory::RequestMemory;
use crate::protection::shut_out::ShutOut;
use crate::protection::uploads::Uploads;
use crate::readiness::{Readiness, ReadinessReport};

/// How long one measurement of the machine is shown to everybody who asks.
const SNAPSHOT_LIFE: Duration = Duration::from_secs(1);

/// An engine, who may use it, and what the server itself remembers. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct App {
    // Every layer around a route holds one, and is cloned with it for every request.
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
    shut_out: Arc<ShutOut>,
    started: Instant,
    snapshot: Arc<Mutex<Option<(Instant, Bytes)>>>,
    protection: Arc<Protection>,
    request_memory: Arc<RequestMemory>,
    uploads: Arc<Uploads>,
    proxy_warnings: Arc<LogThrottle>,
    streams: Arc<Streams>,
    monitoring: Option<Monitoring>,
    answers: Arc<Answers>,
    refreshed: Arc<Refreshed>,
    readiness: Arc<Readiness>,
    document: Bytes,
    query_parameters: Arc<QueryParameters>,
}

impl App {
    /// With `identity`, callers sign in and see what is theirs. Without, everybody who reaches the server may do
    /// everything: for loopback addresses only.
    pub fn new(engine: Engine, identity: Option<Identity>) -> Self {
        let parts = Parts {
            engine,
            identity,
            chat: None,
            documents: None,
            schedules: None,
            tickets: Arc::default(),
            shut_out: Arc::default(),
            started: Instant::now(),
            snapshot: Arc::default(),
            monitoring: None,
            answers: Arc::default(),
            refreshed: Arc::default(),
            readiness: Arc::default(),
            protection: Arc::default(),
            request_memory: RequestMemory::new(Protection::default().body_memory).into(),
            uploads: Arc::default(),
            proxy_warnings: Arc::default(),
            streams: Arc::default(),
            document: Bytes::new(),
            query_parameters: Arc::default(),
        };
        Self { parts: Arc::new(parts) }
    }

    /// The same, protected like this.
    pub fn protected(self, protection: Protection) -> Self {
        self.with(|parts| {
            parts.request_memory = RequestMemory::new(protection.body_memory).into();
            parts.protection = Arc::new(protection);
        })
    }

    /// Memory that the bodies and answers of requests may take.
    pub(crate) fn request_memory(&self) -> &RequestMemory {
        &self.parts.request_memory
    }

    /// The streams that users follow.
    pub(crate) fn streams(&self) -> &Arc<Streams> {
        &self.parts.streams
    }

    /// When the log was last told of a proxy that is not trusted.
    pub(crate) fn proxy_warnings(&self) -> &LogThrottle {
        &self.parts.proxy_warnings
    }

    /// The uploads that are being read.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.parts.uploads
    }

    pub(crate) fn protection(&self) -> &Protection {
        &self.parts.protection
    }

    /// Keeps conversations with models.
    pub fn with_chat(self, chat: Chat) -> Self {
        self.with(|parts| parts.chat = Some(chat))
    }

    /// Keeps documents.
    pub fn with_documents(self, documents: Documents) -> Self {
        self.with(|parts| parts.documents = Some(documents))
    }

    /// Keeps schedules. They fire where [`Schedules::run`] does.
    pub fn with_schedules(self, schedules: Schedules) -> Self {
        self.with(|parts| parts.schedules = Some(schedules))
    }

    /// Shows these figures at `/metrics`; without, there is nothing at that path.
    pub fn monitoring(self, monitoring: Monitoring) -> Self {
        self.with(|parts| parts.monitoring = Some(monitoring))
    }

    /// The folder where the database grows: `/health/ready` looks for space there; default: where the root is.
    pub fn data_folder(self, folder: impl Into<PathBuf>) -> Self {
        self.with(|parts| parts.readiness = Arc::new(parts.readiness.with_folder(folder.into())))
    }

    /// Has `/health/ready` look for one more thing, by this name, that the server uses and can do without for a while:
    /// while it cannot be reached the server is degraded.
    pub fn uses<F>(self, name: &'static str, reach: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let reach = Arc::new(move || reach().boxed());
        self.with(|parts| parts.readiness = Arc::new(parts.readiness.with_other(name, reach)))
    }

    /// The same, with the document that describes its routes.
    pub(crate) fn described(self, document: String) -> Self {
        self.with(|parts| parts.document = document.into())
    }

    /// The parameters of the routes in their query strings.
    pub(crate) fn query_parameters(&self) -> &QueryParameters {
        &self.parts.query_parameters
    }

    /// The document that describes the API, as JSON.
    pub(crate) fn document(&self) -> Bytes {
        self.parts.document.clone()
    }

    /// The figures, if they are shown.
    pub(crate) fn shown_metrics(&self) -> Option<&Monitoring> {
        self.parts.monitoring.as_ref()
    }

    /// The figures of requests.
    pub(crate) fn answers(&self) -> &Answers {
        &self.parts.answers
    }

    /// Asks for the figures that nobody counts, as far as they are some seconds old.
    pub(crate) async fn refresh_metrics(&self) {
        refresh(self.engine(), self.identity(), &self.parts.refreshed).await;
    }

    /// Whether the server can do its work.
    pub(crate) async fn readiness(&self) -> ReadinessReport {
        self.parts.readiness.report(&self.parts.engine).await
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.parts.engine
    }

    /// Identity, if callers sign in here.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.parts.identity.as_ref()
    }

    /// Identity, for the routes that are about nothing else.
    pub(crate) fn require_identity(&self) -> Result<&Identity> {
        self.identity().ok_or_else(|| Error::new(ErrorKind::Unsupported, "this server runs without users"))
    }

    /// Conversations, for the routes that are about nothing else.
    pub(crate) fn chat(&self) -> Result<&Chat> {
        let missing = || Error::new(ErrorKind::Unsupported, "this server keeps no conversations");
        self.parts.chat.as_ref().ok_or_else(missing)
    }

    /// Documents, for the routes that are about nothing else.
    pub(crate) fn documents(&self) -> Result<&Documents> {
        let missing = || Error::new(ErrorKind::Unsupported, "this server keeps no documents");
        self.parts.documents.as_ref().ok_or_else(missing)
    }

    /// Schedules, for the routes that are about nothing else.
    pub(crate) fn schedules(&self) -> Result<&Schedules> {
        let missing = || Error::new(ErrorKind::Unsupported, "this server keeps no schedules");
        self.parts.schedules.as_ref().ok_or_else(missing)
    }

    /// The models, for this caller.
    pub(crate) fn model_for(&self, caller: &Caller) -> Result<Arc<dyn ModelBackend>> {
        let missing = || Error::unavailable("no model backend is configured");
        self.parts.engine.model_for(caller).ok_or_else(missing)
    }

    /// The tickets that are out.
    pub(crate) fn tickets(&self) -> &Tickets {
        &self.parts.tickets
    }

    /// Who has guessed too often at tokens and keys.
    pub(crate) fn shut_out(&self) -> &ShutOut {
        &self.parts.shut_out
    }

    /// How long this app has existed.
    pub(crate) fn uptime(&self) -> Duration {
        self.parts.started.elapsed()
    }

    /// The machine now, as JSON. However many ask, it is measured about once a second.
    pub(crate) async fn snapshot(&self) -> Result<Bytes> {
        let mut kept = self.parts.snapshot.lock().await;
        match kept.as_ref() {
            Some((taken, json)) if taken.elapsed() < SNAPSHOT_LIFE => Ok(json.clone()),
            _ => {
                let json = Bytes::from(serde_json::to_vec(&self.parts.engine.snapshot().await)?);
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
