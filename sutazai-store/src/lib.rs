#![doc = include_str!("../README.md")]
//! # Modules
//!
//! [`open`] reads the scheme of the address and returns the stores of one database as ports of the core;
//! callers do not see which technology is behind them. [`migrations`] applies and reverts its schema. With
//! the feature `redis`, servers share rate-limit counters and a cache in Redis; with `rabbitmq`, the relay
//! publishes events to RabbitMQ for other programs.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod columns;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod detached;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod error;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod fair_claiming;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod messages;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod metric_series;
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
mod spans;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod tables;

use std::sync::Arc;

use sutazai_core::ports::{
    AgentStore, ApiKeyStore, Clock, ConversationStore, DocumentStore, IdentityStore, MetricStore, RelayStore,
    ScheduleStore, TaskStore,
};
use sutazai_core::{Error, Result};

/// The stores of one database; clones share its connections.
#[derive(Debug, Clone)]
pub struct Stores {
    /// Task store: the queue, the tasks, their events and the messages between agents.
    pub tasks: Arc<dyn TaskStore>,
    /// Users, their sessions and invitations.
    pub identity: Arc<dyn IdentityStore>,
    /// API keys of users, stored as hashes.
    pub api_keys: Arc<dyn ApiKeyStore>,
    /// Conversations of users with models.
    pub conversations: Arc<dyn ConversationStore>,
    /// Documents of users and their chunks.
    pub documents: Arc<dyn DocumentStore>,
    /// Schedules: tasks that are created by the clock.
    pub schedules: Arc<dyn ScheduleStore>,
    /// Samples of metrics over time.
    pub metrics: Arc<dyn MetricStore>,
    /// Heartbeats of the instances that work for each agent.
    pub agents: Arc<dyn AgentStore>,
    /// Positions up to which events have been relayed to a message bus.
    pub relays: Arc<dyn RelayStore>,
    /// The clock that all processes sharing the database use; pass it to the engine. It is the machine's own
    /// clock for an SQLite file and the server's clock for PostgreSQL.
    pub clock: Arc<dyn Clock>,
}

/// Opens the stores at a `DATABASE_URL` and brings its schema up to date.
///
/// `sqlite:///absolute/path.db` is a file of the embedded SQLite; a missing file and its directory are
/// created readable by the current user only. `postgres://user:password@host:5432/database` is an existing
/// database; its stores must be opened in a Tokio runtime that outlives them.
///
/// # Errors
/// `InvalidInput` for an address that cannot be parsed, `Unsupported` for a technology that is not built in,
/// `Unavailable` for a file that cannot be opened or is no database, or for a server that cannot be reached
/// or refuses the connection, `Conflict` for a database that a newer program has written.
pub async fn open(url: &str) -> Result<Stores> {
    open_listening(url, None).await
}

/// Opens the stores like [`open`] where `DATABASE_URL` names a pooler (`?pgbouncer=true`).
///
/// `listen_url`, the `DATABASE_LISTEN_URL`, names the server itself: a pooler in transaction mode does not
/// deliver notifications. Without it, changes by other processes are found by polling.
///
/// # Errors
/// Those of [`open`]; also `InvalidInput` for a `listen_url` together with an SQLite file, or one that names
/// a pooler.
pub async fn open_listening(url: &str, listen_url: Option<&str>) -> Result<Stores> {
    match (scheme(url)?, listen_url) {
        #[cfg(feature = "sqlite")]
        ("sqlite", None) => {
            let path = sqlite::path(url)?;
            sqlite::open(&path).await
        }
        #[cfg(feature = "sqlite")]
        ("sqlite", Some(_)) => {
            Err(Error::invalid("DATABASE_LISTEN_URL", "must not be set when DATABASE_URL is an SQLite file"))
        }
        #[cfg(feature = "postgres")]
        ("postgres" | "postgresql", _) => postgres::open(url, listen_url).await,
        (other, _) => Err(not_built(other)),
    }
}

const EXPECTED: &str = "sqlite:///absolute/path.db or postgres://user:password@host:5432/database";

/// Returns the part of the address that names the technology.
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
    async fn invalid_address_names_the_setting() {
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
