//! Connection pool of one database, and calls over its connections.
//!
//! A few connections are kept and reused. Testing a connection costs a round trip to the server, so only
//! one that was idle for more than 1 s is tested. Every call has a timeout; its connection is then closed,
//! and whether the server executed the statement is unknown.

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
use super::error::{self, StoreError, StoreResult};
use super::pool_mode::{PoolMode, begin, end};
use super::timeout_class::TimeoutClass;
use super::wake_ups::WakeUps;
use crate::detached::{detached, unless_abandoned};
use crate::spans::{DatabaseSpans, Operation};

/// Size of the pool; one more connection listens. Ten processes stay below PostgreSQL's default of 100.
const MAX_CONNECTIONS: usize = 8;
/// Longest wait for opening a connection, or for one to become free.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for an idle connection to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that was idle for longer than this is pinged before it is reused.
const PING_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Setting with the address of the database.
pub(super) const URL: &str = "DATABASE_URL";
/// Setting with the address at which notifications are received.
const LISTEN_URL: &str = "DATABASE_LISTEN_URL";

/// One database with its connection pool. Clones share the connections.
#[derive(Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    /// Address for LISTEN; `None` if only a pooler is known.
    listening: Option<Address>,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    wake_ups: WakeUps,
    spans: DatabaseSpans,
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
    /// Parses the address `url`. Connects only on the first use.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be parsed.
    pub(super) fn new(url: &str) -> Result<Self> {
        Self::listening(url, None)
    }

    /// Parses the address `url` and the address at which notifications are received.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be parsed, or a `listen_url` that names a pooler.
    pub(super) fn listening(url: &str, listen_url: Option<&str>) -> Result<Self> {
        let address = Address::read(url, URL)?;
        let listening = match listen_url {
            Some(url) => Some(Address::read(url, LISTEN_URL)?),
            None => Some(address.clone()).filter(|address| address.pool_mode == PoolMode::Direct),
        };
        if listening.as_ref().is_some_and(|address| address.pool_mode != PoolMode::Direct) {
            let wanted = "expected the address of the server itself: a pooler delivers no notifications";
            return Err(Error::invalid(LISTEN_URL, wanted));
        }
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (server, name) = (address.server(), address.database().to_owned());
        let spans = DatabaseSpans::new("postgresql", name, Some(server));
        let shared =
            Shared { address, listening, slots, idle: Mutex::default(), wake_ups: WakeUps::new(), spans };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns the address at which notifications are received, if there is one.
    pub(super) fn listening_address(&self) -> Option<&Address> {
        self.shared.listening.as_ref()
    }

    /// Returns the wake-ups of this process, which every committed change goes through.
    pub(super) fn wake_ups(&self) -> &WakeUps {
        &self.shared.wake_ups
    }

    /// Returns the spans of calls of this database.
    pub(super) fn spans(&self) -> &DatabaseSpans {
        &self.shared.spans
    }

    /// Returns how transactions begin and end on connections of this pool.
    pub(super) fn pool_mode(&self) -> PoolMode {
        self.shared.address.pool_mode
    }

    /// Translates a store error into one for the caller, which names the database.
    pub(super) fn error(&self, fault: StoreError) -> Error {
        error::error(fault, &self.shared.address.place)
    }

    /// Runs one statement, or several that only read, in a task of its own, with the usual timeout.
    pub(super) async fn run<A, T, F>(&self, operation: Operation, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection, &'c A) -> BoxFuture<'c, StoreResult<T>> + Send + 'static,
    {
        self.run_within(operation, TimeoutClass::Short, input, work).await
    }

    /// Runs one statement, or several that only read, in a task of its own, with this timeout class.
    pub(super) async fn run_within<A, T, F>(
        &self,
        operation: Operation,
        limit: TimeoutClass,
        input: A,
        work: F,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection, &'c A) -> BoxFuture<'c, StoreResult<T>> + Send + 'static,
    {
        let database = self.clone();
        let call = detached(move |abandoned| async move {
            let call = async {
                let mut pooled = unless_abandoned(&abandoned, database.take()).await?;
                let outcome = match database.pool_mode() {
                    PoolMode::Direct => work(&mut pooled, &input).await,
                    PoolMode::Pooled => match begin(&mut pooled, PoolMode::Pooled, limit).await {
                        Ok(()) => {
                            let outcome = work(&mut pooled, &input).await;
                            end(&mut pooled, PoolMode::Pooled, outcome).await
                        }
                        Err(fault) => Err(fault),
                    },
                };
                pooled.settle(outcome)
            };
            database.within(limit, call).await
        });
        self.spans().traced(operation, call).await
    }

    /// Cancels a call after its timeout and closes its connection, which may be dead.
    pub(super) async fn within<T>(
        &self,
        limit: TimeoutClass,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = limit.duration();
        timeout(limit, call).await.unwrap_or_else(|_| {
            self.forget_idle();
            let place = &self.shared.address.place;
            let message = format!("the database did not answer within {} s", limit.as_secs());
            Err(Error::timeout(message).with_detail(place.to_string()))
        })
    }

    /// Acquires a connection, from the idle ones or a new one.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be reached, `Busy` when no connection becomes free within 3 s.
    pub(super) async fn take(&self) -> Result<PooledConnection> {
        let place = &self.shared.address.place;
        let permit = timeout(ACQUIRE_TIMEOUT, self.shared.slots.clone().acquire_owned())
            .await
            .map_err(|_| {
                Error::new(ErrorKind::Busy, "the database is busy")
                    .with_detail(format!("every connection to {place} is in use"))
            })?
            .map_err(|_| Error::internal("the connections were closed"))?;
        let connection = match self.idle().await {
            Some(connection) => connection,
            None => timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(&self.shared.address.options))
                .await
                .map_err(|_| {
                    Error::unavailable("the database does not answer").with_detail(place.to_string())
                })?
                .map_err(|e| self.error(e.into()))?,
        };
        Ok(PooledConnection { connection, database: self.clone(), _permit: permit })
    }

    /// Returns an idle connection that works, if there is one. The most recently used one comes first: it is
    /// the least likely to be dead.
    async fn idle(&self) -> Option<PgConnection> {
        loop {
            let Idle { mut connection, since } = self.lock().pop()?;
            let works = since.elapsed() < PING_AFTER_IDLE
                || timeout(PING_TIMEOUT, connection.ping()).await.is_ok_and(|answer| answer.is_ok());
            if works {
                return Some(connection);
            }
            self.forget_idle();
        }
    }

    /// Closes the idle connections: where one connection was lost, the others usually were too.
    fn forget_idle(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pooled connection on loan. It is closed unless it is settled: a statement may still be in progress on
/// it.
pub(super) struct PooledConnection {
    connection: PgConnection,
    database: Database,
    _permit: OwnedSemaphorePermit,
}

impl PooledConnection {
    /// Releases the connection into the pool, unless the outcome shows that it is lost.
    pub(super) fn settle<T>(self, outcome: StoreResult<T>) -> Result<T> {
        let Self { connection, database, .. } = self;
        match outcome {
            Err(fault) if error::is_lost(&fault) => {
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

impl Deref for PooledConnection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
