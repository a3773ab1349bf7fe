//! [`ApiKeyStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::domain::{ApiKey, ApiKeyId, UserId};
use sutazai_core::ports::ApiKeyStore;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedApiKeyStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn ApiKeyStore>,
}

#[async_trait]
impl ApiKeyStore for TracedApiKeyStore {
    async fn create(&self, key: &ApiKey) -> Result<()> {
        self.database.traced("INSERT", "api_keys", self.store.create(key)).await
    }

    async fn find(&self, hash: &str) -> Result<Option<ApiKey>> {
        self.database.traced("SELECT", "api_keys", self.store.find(hash)).await
    }

    async fn api_keys(&self, user: UserId) -> Result<Vec<ApiKey>> {
        self.database.traced("SELECT", "api_keys", self.store.api_keys(user)).await
    }

    async fn record_use(&self, id: ApiKeyId, at: DateTime<Utc>) -> Result<()> {
        self.database.traced("UPDATE", "api_keys", self.store.record_use(id, at)).await
    }

    async fn delete(&self, user: UserId, id: ApiKeyId) -> Result<()> {
        self.database.traced("DELETE", "api_keys", self.store.delete(user, id)).await
    }

    async fn delete_all(&self, user: UserId) -> Result<u64> {
        self.database.traced("DELETE", "api_keys", self.store.delete_all(user)).await
    }
}
