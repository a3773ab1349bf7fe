//! Opens the SQLite stores and assembles them over one database.

use std::path::Path;
use std::sync::Arc;

use sutazai_core::Result;
use sutazai_core::ports::SystemClock;

use super::agent_store::SqliteAgentStore;
use super::api_key_store::SqliteApiKeyStore;
use super::conversation_store::SqliteConversationStore;
use super::database::Database;
use super::document_store::{SqliteDocumentStore, remove_incomplete};
use super::file::restrict_access;
use super::identity_store::SqliteIdentityStore;
use super::metric_store::SqliteMetricStore;
use super::relay_store::SqliteRelayStore;
use super::schedule_store::SqliteScheduleStore;
use super::schema::migrate_up;
use super::task_store::SqliteTaskStore;
use crate::Stores;

/// Opens the stores of the database at `path`; creates it if it is missing and brings its schema up to date.
pub(crate) async fn open(path: &Path) -> Result<Stores> {
    migrate_up(path).await?;
    // Only after the migration is it known to be a database and not some other file, whose mode we must not
    // change.
    restrict_access(path)?;
    let database = Database::open(path).await?;
    remove_incomplete(&database).await?;
    Ok(Stores {
        tasks: Arc::new(SqliteTaskStore::new(database.clone())),
        identity: Arc::new(SqliteIdentityStore::new(database.clone())),
        api_keys: Arc::new(SqliteApiKeyStore::new(database.clone())),
        conversations: Arc::new(SqliteConversationStore::new(database.clone())),
        documents: Arc::new(SqliteDocumentStore::new(database.clone())),
        schedules: Arc::new(SqliteScheduleStore::new(database.clone())),
        metrics: Arc::new(SqliteMetricStore::new(database.clone())),
        agents: Arc::new(SqliteAgentStore::new(database.clone())),
        relays: Arc::new(SqliteRelayStore::new(database)),
        clock: Arc::new(SystemClock),
    })
}
