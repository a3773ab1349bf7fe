//! [`AgentStore`] of a database, each call of it in the trace.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::ports::AgentStore;

use super::database::TracedDatabase;

/// What this store is asked stands in the trace of who asks.
#[derive(Debug)]
pub(super) struct TracedAgentStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn AgentStore>,
}

#[async_trait]
impl AgentStore for TracedAgentStore {
    async fn seen(&self, agents: &[String], at: DateTime<Utc>) -> Result<()> {
        self.database.traced("INSERT", "agents", self.store.seen(agents, at)).await
    }

    async fn last_seen(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>> {
        self.database.traced("SELECT", "agents", self.store.last_seen(agents)).await
    }
}
