//! [`RelayStore`] in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{EventPosition, WorkerId};
use crate::error::{Error, Result};
use crate::ports::{RelayClaim, RelayStore};

/// The relay of a store in memory: gone with the process.
#[derive(Debug, Default)]
pub struct MemoryRelayStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    position: Option<EventPosition>,
    held: Option<(WorkerId, DateTime<Utc>)>,
}

impl MemoryRelayStore {
    /// One that nobody has held.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RelayStore for MemoryRelayStore {
    async fn hold(&self, claim: &RelayClaim, begin: EventPosition) -> Result<Option<EventPosition>> {
        let mut state = self.lock();
        let position = *state.position.get_or_insert(begin);
        if state.held.is_some_and(|(holder, until)| holder != claim.holder && until > claim.now) {
            return Ok(None);
        }
        state.held = Some((claim.holder, claim.now + claim.lease));
        Ok(Some(position))
    }

    async fn advance(&self, claim: &RelayClaim, position: EventPosition) -> Result<()> {
        let mut state = self.lock();
        if state.held.is_none_or(|(holder, _)| holder != claim.holder) {
            return Err(Error::conflict("another process passes the events on"));
        }
        state.position = Some(position);
        state.held = Some((claim.holder, claim.now + claim.lease));
        Ok(())
    }

    async fn let_go(&self, holder: WorkerId) -> Result<()> {
        let mut state = self.lock();
        state.held = state.held.filter(|(held_by, _)| *held_by != holder);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::testing::relay_store::run_all(|| async { Arc::new(MemoryRelayStore::new()) }).await;
    }
}
