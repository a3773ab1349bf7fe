//! [`RelayStore`] over standard collections: one lock, no durability.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::outbox::Outbox;
use crate::domain::{EventOffset, InstanceId, later};
use crate::error::{Error, Result};
use crate::ports::{OutboxMessage, RelayClaim, RelayStore};

/// Relay state of a store in memory ([`MemoryTaskStore::relays`](super::MemoryTaskStore::relays)), lost when the
/// process ends.
#[derive(Debug)]
pub struct MemoryRelayStore {
    held: Mutex<Option<(InstanceId, DateTime<Utc>)>>,
    outbox: Arc<Outbox>,
}

impl MemoryRelayStore {
    /// Creates the relay state of the task store that leaves its messages in this outbox.
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { held: Mutex::default(), outbox }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(InstanceId, DateTime<Utc>)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RelayStore for MemoryRelayStore {
    async fn acquire(&self, claim: &RelayClaim, begin: EventOffset) -> Result<Option<EventOffset>> {
        let mut held = self.lock();
        let position = self.outbox.published_from(begin);
        if held.is_some_and(|(holder, until)| holder != claim.holder && until > claim.now) {
            return Ok(None);
        }
        *held = Some((claim.holder, later(claim.now, claim.lease)));
        Ok(Some(position))
    }

    async fn advance(&self, claim: &RelayClaim, position: EventOffset) -> Result<()> {
        let mut held = self.lock();
        if held.is_none_or(|(holder, _)| holder != claim.holder) {
            return Err(Error::conflict("another process holds the relay"));
        }
        self.outbox.set_published(position);
        *held = Some((claim.holder, later(claim.now, claim.lease)));
        Ok(())
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        Ok(self.outbox.first(limit))
    }

    async fn delete_published(&self, numbers: &[u64]) -> Result<()> {
        self.outbox.delete_published(numbers);
        Ok(())
    }

    async fn release(&self, holder: InstanceId) -> Result<()> {
        let mut held = self.lock();
        *held = held.filter(|(held_by, _)| *held_by != holder);
        Ok(())
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use crate::memory::MemoryTaskStore;

    #[tokio::test]
    async fn conforms() {
        crate::testing::relay_store::run_all(|| async {
            let tasks = Arc::new(MemoryTaskStore::new());
            let relays = tasks.relays();
            (tasks as _, relays as _)
        })
        .await;
    }
}
