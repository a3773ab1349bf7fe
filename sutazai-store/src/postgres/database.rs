//! The database: how an address names it, its connections, and what opens it.
//!
//! A few connections are kept and lent out. A look at whether one still lives is a trip to the server, so it is
//! taken only at one that has lain idle for a while.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::api_key_store::PostgresApiKeyStore;
use super::conversation_store::PostgresConversationStore;
use super::fault::{self, Fault, Outcome};
use super::identity_store::PostgresIdentityStore;
use super::metric_store::PostgresMetricStore;
use super::relay_store::PostgresRelayStore;
use super::schema::migrate_up;
use super::task_store::PostgresTaskStore;
use crate::Stores;

/// So many connections at once; one more listens. Ten processes stay below PostgreSQL's default of 100.
const CONNECTIONS: usize = 8;
/// How long a connection may take to be made, or to become free.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that was idle for so long is looked at before it is lent.
const FRESH: Duration = Duration::from_secs(1);

/// One database. Clones share its connections.
#[derive(Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    options: PgConnectOptions,
    place: Place,
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: PgConnection,
    since: Instant,
}

/// `host:port/name`, for messages.
#[derive(Debug, Clone)]
pub(super) struct Place(String);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.shared.place).finish()
    }
}

/// The stores of the database that `url` names; brings its schema up to date.
pub(crate) async fn open(url: &str) -> Result<Stores> {
    migrate_up(url).await?;
    let database = Database::new(url)?;
    Ok(Stores {
        tasks: Arc::new(PostgresTaskStore::new(database.clone())),
        identity: Arc::new(PostgresIdentityStore::new(database.clone())),
        api_keys: Arc::new(PostgresApiKeyStore::new(database.clone())),
        conversations: Arc::new(PostgresConversationStore::new(database.clone())),
        metrics: Arc::new(PostgresMetricStore::new(database.clone())),
        relays: Arc::new(PostgresRelayStore::new(database)),
    })
}

impl Database {
    /// The database that `url` names. Connects only when it has to.
    ///
    /// # Errors
    /// `InvalidInput` for an address that cannot be understood.
    pub(super) fn new(url: &str) -> Result<Self> {
        let options = options(url)?;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        let place = match options.get_socket() {
            Some(folder) => format!("{}/{database}", folder.display()),
            None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
        };
        let shared = Shared {
            place: Place(place),
            options,
            slots: Arc::new(Semaphore::new(CONNECTIONS)),
            idle: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// How to connect.
    pub(super) fn options(&self) -> &PgConnectOptions {
        &self.shared.options
    }

    /// The error for the caller.
    pub(super) fn error(&self, fault: Fault) -> Error {
        fault::error(fault, &self.shared.place)
    }

    /// Runs one statement, or several that only read.
    pub(super) async fn run<A, T, F>(&self, input: &A, work: F) -> Result<T>
    where
        A: Sync + ?Sized,
        F: for<'c> FnOnce(&'c mut PgConnection, &'c A) -> BoxFuture<'c, Outcome<T>> + Send,
    {
        let mut connection = self.take().await?;
        let outcome = work(&mut connection, input).await;
        connection.settle(outcome)
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// `Unavailable`; `Busy` when none becomes free.
    pub(super) async fn take(&self) -> Result<Lent> {
        let place = &self.shared.place;
        let permit = timeout(PATIENCE, self.shared.slots.clone().acquire_owned())
            .await
            .map_err(|_| Error::new(ErrorKind::Busy, format!("every connection to {place} is in use")))?
            .map_err(|_| Error::internal("the connections were closed"))?;
        let connection = match self.idle().await {
            Some(connection) => connection,
            None => timeout(PATIENCE, PgConnection::connect_with(&self.shared.options))
                .await
                .map_err(|_| Error::unavailable(format!("the database {place} does not answer")))?
                .map_err(|e| self.error(e.into()))?,
        };
        Ok(Lent { connection, database: self.clone(), _permit: permit })
    }

    /// An idle connection that works.
    async fn idle(&self) -> Option<PgConnection> {
        loop {
            let Idle { mut connection, since } = self.lock().pop()?;
            let works = since.elapsed() < FRESH
                || timeout(PATIENCE, connection.ping()).await.is_ok_and(|answer| answer.is_ok());
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

/// How the address says to connect.
fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(|e| {
        let wanted = "expected an address such as postgres://user:password@host:5432/database";
        Error::invalid("DATABASE_URL", format!("{wanted}: {e}"))
    })?;
    // Plans are kept, and one that was made over an empty table must serve when there are a million rows in it:
    // whatever the statistics say, the indices are made for what is asked.
    let steady = [("enable_seqscan", "off"), ("enable_bitmapscan", "off"), ("jit", "off")];
    Ok(options.application_name("sutazai").options(steady).disable_statement_logging())
}
