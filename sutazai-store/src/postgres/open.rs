//! Opens the PostgreSQL stores and assembles them over one database.

use std::sync::Arc;

use futures::future::join_all;
use sutazai_core::Result;

use super::agent_store::PostgresAgentStore;
use super::api_key_store::PostgresApiKeyStore;
use super::clock::PostgresClock;
use super::conversation_store::PostgresConversationStore;
use super::database::Database;
use super::document_store::PostgresDocumentStore;
use super::identity_store::PostgresIdentityStore;
use super::metric_store::PostgresMetricStore;
use super::relay_store::PostgresRelayStore;
use super::schedule_store::PostgresScheduleStore;
use super::schema::bring_up;
use super::task_store::PostgresTaskStore;
use crate::Stores;

/// Connections that are made at the start, so that the first callers need not wait for one.
const READY_CONNECTIONS: usize = 3;

/// Opens the stores of the database that `url` names, after migrating its schema to the latest version. `listen_url` names
/// the same database for LISTEN, which needs a connection without a pooler between.
///
/// # Errors
/// `InvalidInput` naming the setting for an address that cannot be parsed; those of the migrations.
pub(crate) async fn open(url: &str, listen_url: Option<&str>) -> Result<Stores> {
    let database = Database::listening(url, listen_url)?;
    bring_up(&database).await?;
    let stores = Stores {
        tasks: Arc::new(PostgresTaskStore::new(database.clone())),
        identity: Arc::new(PostgresIdentityStore::new(database.clone())),
        api_keys: Arc::new(PostgresApiKeyStore::new(database.clone())),
        conversations: Arc::new(PostgresConversationStore::new(database.clone())),
        documents: Arc::new(PostgresDocumentStore::new(database.clone())),
        schedules: Arc::new(PostgresScheduleStore::new(database.clone())),
        metrics: Arc::new(PostgresMetricStore::new(database.clone())),
        agents: Arc::new(PostgresAgentStore::new(database.clone())),
        relays: Arc::new(PostgresRelayStore::new(database.clone())),
        clock: Arc::new(PostgresClock::start(database.clone()).await?),
    };
    tokio::spawn(make_ready(database));
    Ok(stores)
}

/// Makes [`READY_CONNECTIONS`] before anybody asks for one. A failure is not reported here: the first caller gets it.
async fn make_ready(database: Database) {
    for lent in join_all((0..READY_CONNECTIONS).map(|_| database.take())).await.into_iter().flatten() {
        // No statement ran on it that could have failed.
        let _ = lent.settle(Ok(()));
    }
}
