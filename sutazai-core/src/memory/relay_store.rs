//! [`RelayStore`] over standard collections: one lock, no durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{BusMessage, EventOffset, InstanceId, later};
use crate::error::{Error, Result};
use crate::ports::{OutboxMessage, RelayClaim, RelayStore};

/// Relay state of a store in memory ([`MemoryTaskStore::relays`](super::MemoryTaskStore::relays)), lost when the
/// process ends.
#[derive(Debug, Default)]
pub struct MemoryRelayStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    position: Option<EventOffset>,
    held: Option<(InstanceId, DateTime<Utc>)>,
    left: u64,
    outbox: BTreeMap<u64, BusMessage>,
}

impl MemoryRelayStore {
    /// Keeps the messages about a deleted task in the outbox, unless all its events have been published.
    pub(super) fn keep(&self, last: EventOffset, messages: impl FnOnce() -> Vec<BusMessage>) {
        let mut state = self.lock();
        if state.position.is_none_or(|position| last <= position) {
            return;
        }
        for message in messages() {
            state.left += 1;
            let number = state.left;
            state.outbox.insert(number, message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RelayStore for MemoryRelayStore {
    async fn acquire(&self, claim: &RelayClaim, begin: EventOffset) -> Result<Option<EventOffset>> {
        let mut state = self.lock();
        let position = *state.position.get_or_insert(begin);
        if state.held.is_some_and(|(holder, until)| holder != claim.holder && until > claim.now) {
            return Ok(None);
        }
        state.held = Some((claim.holder, later(claim.now, claim.lease)));
        Ok(Some(position))
    }

    async fn advance(&self, claim: &RelayClaim, position: EventOffset) -> Result<()> {
        let mut state = self.lock();
        if state.held.is_none_or(|(holder, _)| holder != claim.holder) {
            return Err(Error::conflict("another process passes the events on"));
        }
        state.position = Some(position);
        state.held = Some((claim.holder, later(claim.now, claim.lease)));
        Ok(())
    }

    async fn outbox(&self, limit: u32) -> Result<Vec<OutboxMessage>> {
        let state = self.lock();
        let left = state.outbox.iter().take(limit as usize);
        Ok(left
            .map(|(number, message)| OutboxMessage { number: *number, message: message.clone() })
            .collect())
    }

    async fn delete_published(&self, numbers: &[u64]) -> Result<()> {
        let mut state = self.lock();
        for number in numbers {
            state.outbox.remove(number);
        }
        Ok(())
    }

    async fn release(&self, holder: InstanceId) -> Result<()> {
        let mut state = self.lock();
        state.held = state.held.filter(|(held_by, _)| *held_by != holder);
        Ok(())
    }
}

#[cfg(all(test, feature = "testing"))]
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
