//! [`ConversationStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use sutazai_core::Result;
use sutazai_core::domain::{
    Conversation, ConversationId, ConversationPage, ConversationQuery, MessageId, MessageQuota,
    StoredMessage, UserId,
};
use sutazai_core::ports::ConversationStore;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedConversationStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn ConversationStore>,
}

#[async_trait]
impl ConversationStore for TracedConversationStore {
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()> {
        self.database.traced("INSERT", "conversations", self.store.create_within(conversation, max)).await
    }

    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>> {
        self.database.traced("SELECT", "conversations", self.store.get(id)).await
    }

    async fn list(&self, query: &ConversationQuery) -> Result<ConversationPage> {
        self.database.traced("SELECT", "conversations", self.store.list(query)).await
    }

    async fn append_within(&self, message: &StoredMessage, quota: Option<MessageQuota>) -> Result<()> {
        self.database.traced("INSERT", "messages", self.store.append_within(message, quota)).await
    }

    async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<StoredMessage>> {
        let messages = self.store.messages(conversation, before, limit, max_bytes);
        self.database.traced("SELECT", "messages", messages).await
    }

    async fn delete(&self, id: ConversationId) -> Result<()> {
        self.database.traced("DELETE", "conversations", self.store.delete(id)).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database.traced("DELETE", "conversations", self.store.delete_all(owner)).await
    }
}
