//! [`ConversationStore`] over std collections: one lock, no durability.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::domain::{
    Conversation, ConversationCursor, ConversationId, MessageId, MessageQuota, Page, PageRequest,
    StoredMessage, UserId, quota,
};
use crate::error::{Error, Result};
use crate::ports::ConversationStore;

/// Conversations in memory, lost when the process ends. For tests, examples, and embedders that need no durability.
#[derive(Debug, Default)]
pub struct MemoryConversationStore {
    kept: Mutex<BTreeMap<ConversationId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    conversation: Conversation,
    messages: BTreeMap<MessageId, StoredMessage>,
}

impl MemoryConversationStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ConversationId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ConversationStore for MemoryConversationStore {
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()> {
        let mut all = self.lock();
        if let Some(max) = max.filter(|_| conversation.owner.is_some()) {
            let owned = all.values().filter(|other| other.conversation.owner == conversation.owner);
            if owned.count() >= max as usize {
                return Err(quota::too_many("conversations", max));
            }
        }
        let kept = Kept { conversation: conversation.clone(), messages: BTreeMap::new() };
        all.insert(conversation.id, kept);
        Ok(())
    }

    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>> {
        Ok(self.lock().get(&id).map(|kept| kept.conversation.clone()))
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ConversationCursor>,
    ) -> Result<Page<Conversation, ConversationCursor>> {
        let all = self.lock();
        let mut listed: Vec<&Conversation> = all
            .values()
            .map(|kept| &kept.conversation)
            .filter(|conversation| owner.is_none() || conversation.owner == owner)
            .filter(|conversation| page.cursor.is_none_or(|cursor| conversation.cursor() < cursor))
            .collect();
        listed.sort_by_key(|conversation| Reverse(conversation.cursor()));
        let sized =
            listed.into_iter().map(|one| (one.text_bytes(), move || Ok::<_, Infallible>(one.clone())));
        let Ok(page) = Page::collect(sized, page.limit.get() as usize, |last| Some(last.cursor()));
        Ok(page)
    }

    async fn rename(&self, id: ConversationId, title: &str) -> Result<()> {
        let mut all = self.lock();
        let missing = || Error::not_found(format!("conversation {id}"));
        all.get_mut(&id).ok_or_else(missing)?.conversation.title = title.to_owned();
        Ok(())
    }

    async fn append_within(&self, message: &StoredMessage, quota: Option<MessageQuota>) -> Result<()> {
        let mut all = self.lock();
        let missing = || Error::not_found(format!("conversation {}", message.conversation));
        let owner = all.get(&message.conversation).ok_or_else(missing)?.conversation.owner;
        if let Some(quota) = quota.filter(|_| owner.is_some()) {
            let owned = all.values().filter(|kept| kept.conversation.owner == owner);
            let (mut messages, mut bytes) = (0, 0);
            for said in owned.flat_map(|kept| kept.messages.values()) {
                messages += 1;
                bytes += said.message.content.len() as u64;
            }
            quota.check(messages, bytes, message.message.content.len() as u64)?;
        }
        let kept = all.get_mut(&message.conversation).ok_or_else(missing)?;
        let updated_at = &mut kept.conversation.updated_at;
        *updated_at = message.created_at.max(*updated_at);
        kept.messages.insert(message.id, message.clone());
        Ok(())
    }

    async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<StoredMessage>> {
        let kept = self.lock();
        let messages = kept.get(&conversation).into_iter().flat_map(|kept| kept.messages.values().rev());
        let mut bytes = 0;
        let mut latest: Vec<_> = messages
            .filter(|message| before.is_none_or(|before| message.id < before))
            .take(limit as usize)
            .take_while(|message| {
                let fits = bytes < max_bytes;
                bytes += message.message.content.len() as u64;
                fits
            })
            .cloned()
            .collect();
        latest.reverse();
        Ok(latest)
    }

    async fn delete(&self, id: ConversationId) -> Result<()> {
        let gone = self.lock().remove(&id);
        gone.map(|_| ()).ok_or_else(|| Error::not_found(format!("conversation {id}")))
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|_, kept| kept.conversation.owner != Some(owner));
        Ok((before - all.len()) as u64)
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::UserId;

    #[tokio::test]
    async fn conforms() {
        let make = || async { (Arc::new(MemoryConversationStore::new()), UserId::new(), UserId::new()) };
        crate::testing::conversation_store::run_all(make).await;
    }
}
