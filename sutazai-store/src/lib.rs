//! Stores of SutazAI: where tasks, users and metrics outlive the process.
//!
//! [`open`] looks at the address and gives the stores of one database; which technology is behind them
//! is not visible from outside. [`migrations`] brings its schema forward and back.
//! With the feature `redis`, servers share counts of requests and a cache in a Redis; with `rabbitmq`, other programs hear of
//! events over a RabbitMQ.

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod changes;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod detached;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod fault;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod messages;
pub mod migrations;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod queued_times;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod rows;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod traced;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod turns;

use std::sync::Arc;

use sutazai_core::ports::{
    AgentStore, ApiKeyStore, Clock, ConversationStore, DocumentStore, IdentityStore, MetricStore, RelayStore,
    ScheduleStore, TaskStore,
};
use sutazai_core::{Error, Result};

/// The stores of one database.
#[derive(Debug, Clone)]
pub struct Stores {
    /// The queue, the tasks and their events.
    pub tasks: Arc<dyn TaskStore>,
    /// Users and sessions.
    pub identity: Arc<dyn IdentityStore>,
    /// API keys.
    pub api_keys: Arc<dyn ApiKeyStore>,
    /// Conversations with models.
    pub conversations: Arc<dyn ConversationStore>,
    /// Documents of users and their chunks.
    pub documents: Arc<dyn DocumentStore>,
    /// Tasks that are asked for by the clock.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Metrics over time.
    pub metrics: Arc<dyn MetricStore>,
    /// Who works for which agent.
    pub agents: Arc<dyn AgentStore>,
    /// How far events have been passed on to a message bus.
    pub relays: Arc<dyn RelayStore>,
    /// The time that all who share the database go by, to be given to the engine: the machine's own where it is a file, the
    /// server's otherwise.
    pub clock: Arc<dyn Clock>,
}

/// Opens the stores at a `DATABASE_URL` and brings its schema up to date.
///
/// `sqlite:///absolute/path.db` is a file of the embedded SQLite; it and its directory are made for this user
/// only. `postgres://user:password@host:5432/database` is a database that is there; those stores must be opened in a
/// tokio runtime that outlives them.
///
/// # Errors
/// `InvalidInput` for an address that cannot be understood, `Unsupported` for a technology that is not built
/// in, `Unavailable` for a file that cannot be opened or is no database or a server that cannot be reached or
/// refuses, `Conflict` for a database that a newer program has written.
pub async fn open(url: &str) -> Result<Stores> {
    open_listening(url, None).await
}

/// The same, where `DATABASE_URL` leads to a pooler (`?pgbouncer=true`) and `listen_url`, the `DATABASE_LISTEN_URL`, to the
/// server itself: what other processes say can be heard only there. Without it their changes are found by looking.
///
/// # Errors
/// As [`open`]; also `InvalidInput` for a `listen_url` beside a database that is a file, or one that leads to a pooler.
pub async fn open_listening(url: &str, listen_url: Option<&str>) -> Result<Stores> {
    match (scheme(url)?, listen_url) {
        #[cfg(feature = "sqlite")]
        ("sqlite", None) => {
            let path = sqlite::path(url)?;
            Ok(sqlite::traced(&path).stores(sqlite::open(&path).await?))
        }
        #[cfg(feature = "sqlite")]
        ("sqlite", Some(_)) => {
            Err(Error::invalid("DATABASE_LISTEN_URL", "has no use where DATABASE_URL is a file of SQLite"))
        }
        #[cfg(feature = "postgres")]
        ("postgres" | "postgresql", _) => {
            Ok(postgres::traced(url)?.stores(postgres::open(url, listen_url).await?))
        }
        (other, _) => Err(not_built(other)),
    }
}

const EXPECTED: &str = "sqlite:///absolute/path.db or postgres://user:password@host:5432/database";

/// The part of the address that names the technology.
fn scheme(url: &str) -> Result<&str> {
    url.split_once("://")
        .map(|(scheme, _)| scheme)
        .ok_or_else(|| Error::invalid("DATABASE_URL", format!("expected an address such as {EXPECTED}")))
}

fn not_built(scheme: &str) -> Error {
    Error::unsupported(format!("no store for {scheme:?} is built in; expected {EXPECTED}"))
        .with_field("DATABASE_URL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sutazai_core::ErrorKind;

    #[tokio::test]
    async fn an_address_that_does_not_fit_names_the_setting() {
        for (url, kind) in [
            ("/var/lib/x.db", ErrorKind::InvalidInput),
            ("sqlite://relative.db", ErrorKind::InvalidInput),
            ("sqlite:///", ErrorKind::InvalidInput),
            ("sqlite:///x.db?mode=ro", ErrorKind::InvalidInput),
            ("mysql://somewhere/x", ErrorKind::Unsupported),
        ] {
            let e = open(url).await.unwrap_err();
            assert_eq!((e.kind(), e.field()), (kind, Some("DATABASE_URL")), "{url}: {e}");
            assert!(e.to_string().contains("sqlite:///absolute/path.db"), "{e}");
        }
    }
}
