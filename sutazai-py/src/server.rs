//! HTTP servers of an engine in this process.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sutazai::config::{Config, Layers, Secret};
use sutazai::engine::Engine;
use sutazai::external::CancellationToken;
use sutazai::setup::Service;
use sutazai::store::Stores;
use sutazai::{Error, Result};
use tokio::net::{TcpListener, lookup_host};
use tokio::task::JoinHandle;

use crate::local::MEMORY;

/// Settings of a process by their names. Their values may be secrets, which its `Debug` output does not show.
#[derive(Clone, Default)]
pub(crate) struct Variables(pub(crate) HashMap<OsString, OsString>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Address at which a server listens, and the code for its first admin.
pub(crate) struct Listening {
    pub(crate) number: u64,
    pub(crate) address: SocketAddr,
    pub(crate) has_tls: bool,
    pub(crate) setup_code: Option<String>,
}

/// Server that runs in a task of Tokio.
#[derive(Debug)]
struct Running {
    stop: CancellationToken,
    ended: JoinHandle<Result<()>>,
}

impl Running {
    /// Stops the server: open requests get 10 s to end.
    ///
    /// # Errors
    /// The one with which the server ended.
    async fn end(self) -> Result<()> {
        self.stop.cancel();
        self.ended.await.map_err(|e| Error::internal("the server panicked").with_source(e))?
    }
}

/// Servers of one engine, with what they need of it.
#[derive(Debug)]
pub(crate) struct Servers {
    variables: Variables,
    stores: Stores,
    in_memory: bool,
    running: Mutex<HashMap<u64, Running>>,
    next: AtomicU64,
}

impl Servers {
    /// Creates the servers of an engine with these settings and stores, none of which runs.
    pub(crate) fn new(variables: Variables, stores: Stores, in_memory: bool) -> Self {
        Self { variables, stores, in_memory, running: Mutex::default(), next: AtomicU64::new(1) }
    }

    /// Returns the configuration of a server at this address. Users of an engine in memory end with it, so that their
    /// tokens are signed with a new key.
    fn config(&self, address: SocketAddr, signing_key: &str) -> Result<Config> {
        let mut variables = self.variables.0.clone();
        if self.in_memory {
            variables.entry("JWT_SECRET_KEY".into()).or_insert_with(|| signing_key.into());
        }
        let layers = Layers::read(variables, None, &[("LISTEN", Some(address.to_string()))]);
        let mut config = layers.check().map_err(|mut problems| problems.swap_remove(0))?;
        if self.in_memory {
            config.database_url = Secret::new(MEMORY);
        }
        config.server.connections.check()?;
        Ok(config)
    }

    /// Starts a server of this engine.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting, or `Unavailable` naming `host` or `port`.
    pub(crate) async fn start(
        &self,
        engine: &Engine,
        host: &str,
        port: u16,
        signing_key: &str,
    ) -> Result<Listening> {
        let unknown = || Error::unavailable(format!("host {host:?} has no address")).with_field("host");
        let found = lookup_host((host, port)).await;
        let address = found.ok().and_then(|mut addresses| addresses.next()).ok_or_else(unknown)?;
        let config = self.config(address, signing_key)?;
        let service = Service::over(&config, self.stores.clone(), engine.clone()).await?;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|e| Error::unavailable(format!("cannot listen on {address}: {e}")).with_field("port"))?;
        let address = listener.local_addr()?;
        let setup_code = service.begin_setup().await?;
        let (stop, has_tls) = (CancellationToken::new(), config.server.connections.tls.is_some());
        let stopped = stop.clone();
        let ended = tokio::spawn(async move { service.serve(&config, listener, stopped).await });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Running { stop, ended });
        Ok(Listening { number, address, has_tls, setup_code })
    }

    /// Stops the server with this number, if it runs.
    ///
    /// # Errors
    /// The one with which the server ended.
    pub(crate) async fn stop(&self, number: u64) -> Result<()> {
        let running = self.lock().remove(&number);
        match running {
            Some(running) => running.end().await,
            None => Ok(()),
        }
    }

    /// Stops all servers of the engine.
    pub(crate) async fn stop_all(&self) {
        let running: Vec<Running> = self.lock().drain().map(|(_, running)| running).collect();
        for running in &running {
            running.stop.cancel();
        }
        for running in running {
            if let Err(e) = running.end().await {
                tracing::warn!(error = %e, "server failed");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Running>> {
        // A poisoned lock is safe to use: every change of the map is a single insert or remove.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
