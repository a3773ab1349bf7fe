//! Where conversations live.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Conversation, ConversationId, ConversationPage, ConversationQuery, MessageId, StoredMessage, UserId,
};
use crate::error::Result;

/// The conversation store.
///
/// # Contract
/// - A created conversation is found by its id, whole; an unknown id finds none.
/// - With a limit a conversation that would be one too many of its owner's is `Conflict` and is not added, however many are added at once. Nobody's conversations have no limit.
/// - `list` gives one owner's conversations, or everybody's, newest first, page by page.
/// - `append` adds a message, whole, and sets when its conversation was used last, never back.
/// - `append` to a conversation that is not there is `NotFound`.
/// - `messages` gives the latest messages of one conversation, or the latest before one of them, oldest first.
/// - `messages` stops after the message with which the contents reach `max_bytes`, and loads no content beyond it.
/// - `delete` removes a conversation with its messages and no other; one that is not there is `NotFound`.
/// - `delete_all` does so with all of one owner's, and tells how many those were.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ConversationStore: Debug + Send + Sync + 'static {
    /// Adds a conversation.
    async fn create(&self, conversation: &Conversation) -> Result<()> {
        self.create_within(conversation, None).await
    }

    /// Adds a conversation, if its owner has fewer than `max`.
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()>;

    /// The conversation, if there is one.
    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>>;

    /// A page of conversations.
    async fn list(&self, query: &ConversationQuery) -> Result<ConversationPage>;

    /// Adds a message at the end of its conversation.
    async fn append(&self, message: &StoredMessage) -> Result<()>;

    /// At most `limit` messages of a conversation, the oldest of which is the only one that exceeds `max_bytes` of content.
    async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<StoredMessage>>;

    /// Removes a conversation and its messages.
    async fn delete(&self, id: ConversationId) -> Result<()>;

    /// Removes all conversations of an owner.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;
}
