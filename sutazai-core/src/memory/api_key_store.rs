//! [`ApiKeyStore`] over std collections: one lock, no durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{ApiKey, ApiKeyId, MAX_API_KEYS, UserId, quota};
use crate::error::{Error, Result};
use crate::ports::ApiKeyStore;

/// API keys in memory, lost when the process ends. For tests, examples, and embedders that need no durability.
#[derive(Debug, Default)]
pub struct MemoryApiKeyStore {
    keys: Mutex<BTreeMap<ApiKeyId, ApiKey>>,
}

impl MemoryApiKeyStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ApiKeyId, ApiKey>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ApiKeyStore for MemoryApiKeyStore {
    async fn create(&self, key: &ApiKey) -> Result<()> {
        let mut keys = self.lock();
        if keys.values().any(|other| other.hash == key.hash) {
            return Err(Error::conflict("an API key with this hash already exists"));
        }
        if keys.values().filter(|other| other.user == key.user).count() >= MAX_API_KEYS as usize {
            return Err(quota::too_many("API keys", MAX_API_KEYS));
        }
        keys.insert(key.id, key.clone());
        Ok(())
    }

    async fn find(&self, hash: &str) -> Result<Option<ApiKey>> {
        Ok(self.lock().values().find(|key| key.hash == hash).cloned())
    }

    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>> {
        Ok(self.lock().values().rev().filter(|key| key.user == user).cloned().collect())
    }

    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()> {
        if let Some(key) = self.lock().get_mut(&id) {
            key.last_used_at = key.last_used_at.max(Some(at));
        }
        Ok(())
    }

    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()> {
        let mut keys = self.lock();
        if keys.get(&id).is_none_or(|key| key.user != user) {
            return Err(Error::not_found(format!("API key {id}")));
        }
        keys.remove(&id);
        Ok(())
    }

    async fn delete_all(&self, user: UserId) -> Result<u64> {
        let mut keys = self.lock();
        let before = keys.len();
        keys.retain(|_, key| key.user != user);
        Ok((before - keys.len()) as u64)
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        let make = || async { (Arc::new(MemoryApiKeyStore::new()), UserId::new(), UserId::new()) };
        crate::testing::api_key_store::run_all(make).await;
    }
}
