//! Conversations with a model, as they are kept.

use super::chat::{ChatMessage, ModelUsage, Role};
use super::id::{ConversationId, MessageId, UserId};
use chrono::{DateTime, Utc};

/// A conversation, without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its key in the store; later ones sort later.
    pub id: ConversationId,
    /// Whose it is; none: the embedder's own.
    pub owner: Option<UserId>,
    /// What it is about, in its owner's words; may be empty.
    pub title: String,
    /// The model that answers; none: the one that answers by default.
    pub model: Option<String>,
    /// The instructions that stand before everything else.
    pub system: Option<String>,
    /// When it was begun.
    pub created_at: DateTime<Utc>,
    /// When the latest message was added.
    pub updated_at: DateTime<Utc>,
}

/// A request for a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewConversation {
    /// What it is about, at most 200 characters.
    pub title: String,
    /// The model that is to answer; none: the one that answers by default.
    pub model: Option<String>,
    /// Instructions to stand before everything else, at most 10,000 characters.
    pub system: Option<String>,
}

/// A message that is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMessage {
    /// Its key in the store; later ones sort later.
    pub id: MessageId,
    /// Where it belongs.
    pub conversation: ConversationId,
    /// Who speaks, and what they say.
    pub message: ChatMessage,
    /// When it was written; an answer: when it ended.
    pub created_at: DateTime<Utc>,
    /// Whether it is an answer that was broken off: its reader went away, or the model failed.
    pub cut: bool,
    /// Who wrote it and what it cost, for an answer that ended.
    pub usage: Option<ModelUsage>,
}

impl StoredMessage {
    /// A message that was just written.
    pub fn new(conversation: ConversationId, role: Role, content: String, now: DateTime<Utc>) -> Self {
        let message = ChatMessage { role, content };
        Self { id: MessageId::new(), conversation, message, created_at: now, cut: false, usage: None }
    }
}

/// What somebody says in a conversation, and how the model is to answer.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// The text, 1 to 100,000 characters.
    pub content: String,
    /// The answer has at most so many tokens, 1 to 32,768.
    pub max_tokens: u32,
    /// How freely the model chooses, 0.0 to 2.0.
    pub temperature: f32,
}

impl NewMessage {
    /// This text, for an answer of at most 512 tokens at temperature 0.7.
    pub fn new(content: impl Into<String>) -> Self {
        Self { content: content.into(), max_tokens: 512, temperature: 0.7 }
    }
}

/// Which conversations to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationQuery {
    /// One owner's only; none: everybody's.
    pub owner: Option<UserId>,
    /// Those begun before this one only: where the page before ended.
    pub before: Option<ConversationId>,
    /// At most so many.
    pub limit: u32,
}

/// One page of conversations, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationPage {
    /// The conversations.
    pub items: Vec<Conversation>,
    /// Hand it back as [`ConversationQuery::before`] for the next page; none at the end.
    pub next: Option<ConversationId>,
}

/// One page of messages, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePage {
    /// The messages.
    pub items: Vec<StoredMessage>,
    /// The message before which the next page begins; none when there is none for certain.
    pub next: Option<MessageId>,
}
