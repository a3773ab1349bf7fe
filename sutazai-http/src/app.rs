//! What the routes work on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use sutazai_core::engine::Engine;
use sutazai_core::identity::Identity;
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::auth::tickets::Tickets;

/// How long one measurement of the machine is shown to everybody who asks.
const SNAPSHOT_LIFE: Duration = Duration::from_secs(1);

/// An engine, who may use it, and what the server itself remembers. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct App {
    engine: Engine,
    identity: Option<Identity>,
    tickets: Arc<Tickets>,
    started: Instant,
    snapshot: Arc<Mutex<Option<(Instant, Bytes)>>>,
}

impl App {
    /// With `identity`, callers sign in and see what is theirs. Without, everybody who reaches the server may do
    /// everything: for loopback addresses only.
    pub fn new(engine: Engine, identity: Option<Identity>) -> Self {
        let (tickets, snapshot) = (Arc::default(), Arc::default());
        Self { engine, identity, tickets, started: Instant::now(), snapshot }
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
