//! Store of conversations and their messages.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{
    Conversation, ConversationId, ConversationPage, ConversationQuery, MessageId, MessageQuota,
    StoredMessage, UserId,
};
use crate::error::Result;

/// Store of conversations and their messages.
///
/// # Contract
/// - A created conversation is found by its id with all its fields; an unknown id finds none.
/// - With a limit, a conversation beyond it is `Conflict` and is not added, also under concurrent creation.
///   Conversations without an owner have no limit.
/// - `list` returns the conversations of one owner, or of all, newest first, page by page.
/// - A page of `list` with several conversations holds at most a megabyte of titles, names of models and instructions.
/// - `append` adds a message unchanged and sets the time of the conversation's latest use, which never moves back.
/// - `append` to an unknown conversation is `NotFound`.
/// - With a quota a message after which the conversations of its owner would have more messages or bytes is `Conflict` and is not added, however many are added at once. What was deleted does not count, and nobody's conversations have no quota.
/// - `messages` returns the latest messages of one conversation, or the latest before one of them, oldest first.
/// - `messages` stops after the message with which the contents reach `max_bytes`, and loads no content beyond it.
/// - `delete` removes a conversation with its messages and no other; an unknown one is `NotFound`.
/// - `delete_all` removes all conversations of one owner with their messages and returns their number.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ConversationStore: Debug + Send + Sync + 'static {
    /// Stores a new conversation without a limit.
    async fn create(&self, conversation: &Conversation) -> Result<()> {
        self.create_within(conversation, None).await
    }

    /// Stores a new conversation, provided that its owner has fewer than `max`.
    async fn create_within(&self, conversation: &Conversation, max: Option<u32>) -> Result<()>;

    /// Returns the conversation, if there is one.
    async fn get(&self, id: ConversationId) -> Result<Option<Conversation>>;

    /// Returns one page of conversations.
    async fn list(&self, query: &ConversationQuery) -> Result<ConversationPage>;

    /// Appends a message to its conversation.
    async fn append(&self, message: &StoredMessage) -> Result<()> {
        self.append_within(message, None).await
    }

    /// Appends a message, provided that all conversations of its owner together stay within the quota.
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
    async fn delete(&self, id: ConversationId) -> Result<()>;

    /// Removes all conversations of an owner and returns their number.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;
}
