//! The database: its connections, and calls over them.
//!
//! A few connections are kept and lent out. A look at whether one still lives is a trip to the server, so it is
//! taken only at one that has lain idle for a while. Every call has a limit; the connection that it had then is closed,
//! and whether the server did what it was asked is not known.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::{Connection, PgConnection};
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::address::Address;
use super::fault::{self, Fault, Outcome};
use super::framing::{Framing, begin, end};
use super::limit::Limit;
use crate::detached::{detached, unless_abandoned};

/// So many connections at once; one more listens. Ten processes stay below PostgreSQL's default of 100.
const CONNECTIONS: usize = 8;
/// How long a connection may take to be made, or to become free.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long an idle connection may take to show that it works.
const PROBE: Duration = Duration::from_secs(1);
/// A connection that was idle for so long is looked at before it is lent.
const FRESH: Duration = Duration::from_secs(1);

/// Name of the setting with the address of the database.
pub(super) const URL: &str = "DATABASE_URL";
/// Name of the setting with the address for LISTEN.
const LISTEN_URL: &str = "DATABASE_LISTEN_URL";

/// One database. Clones share its connections.
#[derive(Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    /// Where wake-ups can be heard.
    listening: Option<Address>,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: PgConnection,
    since: Instant,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shared.address.place).finish()
    }
}

impl Database {
    /// The database that `url` names. Connects only when it has to.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be understood.
    pub(super) fn new(url: &str) -> Result<Self> {
        Self::listening(url, None)
    }

    /// The same, with the address at which wake-ups can be heard.
    pub(super) fn listening(url: &str, listen_url: Option<&str>) -> Result<Self> {
        let address = Address::read(url, URL)?;
        let listening = match listen_url {
            Some(url) => Some(Address::read(url, LISTEN_URL)?),
            None => Some(address.clone()).filter(|address| address.framing == Framing::Direct),
        };
        if listening.as_ref().is_some_and(|address| address.framing != Framing::Direct) {
            let wanted = "expected the address of the server itself: behind a pooler nothing can be heard";
            return Err(Error::invalid(LISTEN_URL, wanted));
        }
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        let shared = Shared { address, listening, slots, idle: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where wake-ups can be heard, if anywhere.
    pub(super) fn listening_address(&self) -> Option<&Address> {
        self.shared.listening.as_ref()
    }

    /// How transactions begin and end.
    pub(super) fn framing(&self) -> Framing {
        self.shared.address.framing
    }

    /// The error for the caller.
    pub(super) fn error(&self, fault: Fault) -> Error {
        fault::error(fault, &self.shared.address.place)
    }

    /// Runs one statement, or several that only read, in a task of its own.
    pub(super) async fn run<A, T, F>(&self, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection, &'c A) -> BoxFuture<'c, Outcome<T>> + Send + 'static,
    {
        self.run_within(Limit::Usual, input, work).await
    }

    /// The same with another limit.
    pub(super) async fn run_within<A, T, F>(&self, limit: Limit, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection, &'c A) -> BoxFuture<'c, Outcome<T>> + Send + 'static,
    {
        let database = self.clone();
        detached(move |abandoned| async move {
            let call = async {
                let mut lent = unless_abandoned(&abandoned, database.take()).await?;
                let outcome = match database.framing() {
                    Framing::Direct => work(&mut lent, &input).await,
                    Framing::Pooled => match begin(&mut lent, Framing::Pooled, limit).await {
                        Ok(()) => {
                            let outcome = work(&mut lent, &input).await;
                            end(&mut lent, Framing::Pooled, outcome).await
                        }
                        Err(fault) => Err(fault),
                    },
                };
                lent.settle(outcome)
            };
            database.within(limit, call).await
        })
        .await
    }

    /// Gives a call up when it has taken too long, and closes its connection: it may be dead.
    pub(super) async fn within<T>(&self, limit: Limit, call: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = limit.duration();
        timeout(limit, call).await.unwrap_or_else(|_| {
            self.forget_idle();
            let place = &self.shared.address.place;
            let message = format!("the database did not answer within {} s", limit.as_secs());
            Err(Error::timeout(message).with_detail(place.to_string()))
        })
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// `Unavailable`; `Busy` when none becomes free.
    pub(super) async fn take(&self) -> Result<Lent> {
        let place = &self.shared.address.place;
        let permit = timeout(PATIENCE, self.shared.slots.clone().acquire_owned())
            .await
            .map_err(|_| {
                Error::new(ErrorKind::Busy, "the database is busy")
                    .with_detail(format!("every connection to {place} is in use"))
            })?
            .map_err(|_| Error::internal("the connections were closed"))?;
        let connection = match self.idle().await {
            Some(connection) => connection,
            None => timeout(PATIENCE, PgConnection::connect_with(&self.shared.address.options))
                .await
                .map_err(|_| {
                    Error::unavailable("the database does not answer").with_detail(place.to_string())
                })?
                .map_err(|e| self.error(e.into()))?,
        };
        Ok(Lent { connection, database: self.clone(), _permit: permit })
    }

    /// An idle connection that works.
    async fn idle(&self) -> Option<PgConnection> {
        loop {
            let Idle { mut connection, since } = self.lock().pop()?;
            let works = since.elapsed() < FRESH
                || timeout(PROBE, connection.ping()).await.is_ok_and(|answer| answer.is_ok());
            if works {
                return Some(connection);
            }
            self.forget_idle();
        }
    }

    /// Where one connection was lost, the others were too.
    fn forget_idle(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is lent out. One that is not settled may be in the middle of something: it is closed.
pub(super) struct Lent {
    connection: PgConnection,
    database: Database,
    _permit: OwnedSemaphorePermit,
}

impl Lent {
    /// Gives the connection back, unless it was lost.
    pub(super) fn settle<T>(self, outcome: Outcome<T>) -> Result<T> {
        let Self { connection, database, .. } = self;
        match outcome {
            Err(fault) if fault::is_lost(&fault) => {
                database.forget_idle();
                Err(database.error(fault))
            }
            other => {
                database.lock().push(Idle { connection, since: Instant::now() });
                other.map_err(|fault| database.error(fault))
            }
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
