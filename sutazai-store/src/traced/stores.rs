//! Puts a span around every call of the stores that requests use.

use std::sync::Arc;

use super::agent_store::TracedAgentStore;
use super::api_key_store::TracedApiKeyStore;
use super::conversation_store::TracedConversationStore;
use super::database::TracedDatabase;
use super::document_store::TracedDocumentStore;
use super::identity_store::TracedIdentityStore;
use super::metric_store::TracedMetricStore;
use super::schedule_store::TracedScheduleStore;
use super::task_store::TracedTaskStore;
use crate::Stores;

impl TracedDatabase {
    /// Wraps the stores of this database.
    pub(crate) fn stores(self, stores: Stores) -> Stores {
        let database = || self.clone();
        Stores {
            tasks: Arc::new(TracedTaskStore { database: database(), store: stores.tasks }),
            identity: Arc::new(TracedIdentityStore { database: database(), store: stores.identity }),
            api_keys: Arc::new(TracedApiKeyStore { database: database(), store: stores.api_keys }),
            conversations: Arc::new(TracedConversationStore {
                database: database(),
                store: stores.conversations,
            }),
            documents: Arc::new(TracedDocumentStore { database: database(), store: stores.documents }),
            schedules: Arc::new(TracedScheduleStore { database: database(), store: stores.schedules }),
            metrics: Arc::new(TracedMetricStore { database: database(), store: stores.metrics }),
            agents: Arc::new(TracedAgentStore { database: database(), store: stores.agents }),
            // No request asks it for anything.
            relays: stores.relays,
            clock: stores.clock,
        }
    }
}
