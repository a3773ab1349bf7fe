//! Store of conversations and their messages.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Conversation, ConversationCursor, ConversationId, MessageId, MessageQuota, Page, PageRequest,
    StoredMessage, UserId,
};
use crate::error::Result;

/// Store of conversations and their messages.
///
/// # Contract
/// - A created conversation is found by its id with all its fields; an unknown id finds none.
/// - With a limit, a conversation beyond it is `Conflict` and is not added, also under concurrent creation.
///   Conversations without an owner have no limit.
/// - `list` returns the conversations of one owner, or of all, the one with the latest message first, page by page; of
///   those with the same time the newer one comes first.
/// - A page of `list` with several conversations holds at most a megabyte of titles, names of models and instructions.
/// - `rename` sets the title and nothing else; an unknown conversation is `NotFound`.
/// - `append` adds a message unchanged and sets the time of the conversation's latest use, which never moves back.
/// - `append` to an unknown conversation is `NotFound`.
/// - With a quota a message after which the conversations of its owner would have more messages or bytes is `Conflict` and is not added, however many are added at once. What was deleted does not count, and nobody's conversations have no quota.
/// - `messages` returns the latest messages of one conversation, or the latest before one of them, oldest first.
/// - `messages` stops after the message with which the contents reach `max_bytes`, and loads no content beyond it.
/// - `delete` removes a conversation with its messages and no other; an unknown one is `NotFound`.
/// - `delete_all` removes all conversations of one owner with their messages and returns their number.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use sutazai_core::domain::{Conversation, ConversationId, Role, StoredMessage};
/// use sutazai_core::memory::MemoryConversationStore;
/// use sutazai_core::ports::{Clock, ConversationStore, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let store = MemoryConversationStore::new();
/// let now = SystemClock.now();
/// let conversation = Conversation {
///     id: ConversationId::new(),
///     owner: None,
///     title: "disks".into(),
///     model: None,
///     system: None,
///     created_at: now,
///     updated_at: now,
/// };
/// store.create(&conversation).await?;
/// let message = StoredMessage::new(conversation.id, Role::User, "Which disk is full?".into(), now);
/// store.append(&message).await?;
/// assert_eq!(store.messages(conversation.id, None, 10, 1_000).await?, [message]);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait ConversationStore: Debug + Send + Sync + 'static {
    /// Stores a new conversation without a limit.
    async fn create(&self, conversation: &Conversation) -> Result<()> {
        self.create_within(conversation, None).await
    }

    /// Stores a new conversation, provided that its owner has fewer than `max`.
    ///
    /// # Errors
    /// `Conflict` if the owner has `max` conversations.
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()>;

    /// Returns the conversation, if there is one.
    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>>;

    /// Returns one page of the conversations of `owner`, or of all.
    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ConversationCursor>,
    ) -> Result<Page<Conversation, ConversationCursor>>;

    /// Sets the title of a conversation.
    ///
    /// # Errors
    /// `NotFound` if there is no such conversation.
    async fn rename(&self, id: ConversationId, title: &str) -> Result<()>;

    /// Appends a message to its conversation.
    ///
    /// # Errors
    /// `NotFound` if there is no such conversation.
    async fn append(&self, message: &StoredMessage) -> Result<()> {
        self.append_within(message, None).await
    }

    /// Appends a message, provided that all conversations of its owner together stay within the quota.
    ///
    /// # Errors
    /// `NotFound` if there is no such conversation; `Conflict` if the quota would be exceeded.
    async fn append_within(&self, message: &StoredMessage, quota: Option<MessageQuota>) -> Result<()>;

    /// Returns at most `limit` messages; only the oldest of them may exceed `max_bytes` of content in total.
    async fn messages(
        &self,
        conversation: ConversationId,
        before: Option<MessageId>,
        limit: u32,
        max_bytes: u64,
    ) -> Result<Vec<StoredMessage>>;

    /// Removes a conversation and its messages.
    ///
    /// # Errors
    /// `NotFound` if there is no such conversation.
    async fn delete(&self, id: ConversationId) -> Result<()>;

    /// Removes all conversations of an owner and returns their number.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;
}
