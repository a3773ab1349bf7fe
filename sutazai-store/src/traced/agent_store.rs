//! [`AgentStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::ports::AgentStore;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedAgentStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn AgentStore>,
}

#[async_trait]
impl AgentStore for TracedAgentStore {
    async fn record_heartbeats(&self, agents: &[String], at: DateTime<Utc>) -> Result<()> {
        self.database.traced("INSERT", "agents", self.store.record_heartbeats(agents, at)).await
    }

    async fn last_heartbeats(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>> {
        self.database.traced("SELECT", "agents", self.store.last_heartbeats(agents)).await
    }
}
