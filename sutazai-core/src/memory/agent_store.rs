//! [`AgentStore`] over a hash map: one lock, no durability.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::ports::AgentStore;

/// Agent heartbeats in memory, lost when the process ends.
#[derive(Debug, Default)]
pub struct MemoryAgentStore {
    seen: Mutex<HashMap<String, DateTime<Utc>>>,
}

impl MemoryAgentStore {
    /// Creates a store without heartbeats.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, DateTime<Utc>>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AgentStore for MemoryAgentStore {
    async fn record_heartbeats(&self, agents: &[String], at: DateTime<Utc>) -> Result<()> {
        let mut seen = self.lock();
        for agent in agents {
            let last = seen.entry(agent.clone()).or_insert(at);
            *last = at.max(*last);
        }
        Ok(())
    }

    async fn last_heartbeats(&self, agents: &[String]) -> Result<Vec<Option<DateTime<Utc>>>> {
        let seen = self.lock();
        Ok(agents.iter().map(|agent| seen.get(agent).copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::testing::agent_store::run_all(|| async { Arc::new(MemoryAgentStore::new()) }).await;
    }
}
