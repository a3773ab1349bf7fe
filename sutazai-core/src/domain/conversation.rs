//! Stored conversations with a model, and their messages.

use chrono::{DateTime, Utc};

use super::chat::{ChatMessage, ModelUsage, Role};
use super::id::{ConversationId, MessageId, UserId};

/// A stored conversation, without its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Primary key; ids of later conversations sort later.
    pub id: ConversationId,
    /// Owner of the conversation; `None`: the embedder.
    pub owner: Option<UserId>,
    /// Title in the owner's words; may be empty.
    pub title: String,
    /// Model that answers; `None`: the default model.
    pub model: Option<String>,
    /// System prompt that precedes all messages.
    pub system: Option<String>,
    /// Time at which the conversation was created.
    pub created_at: DateTime<Utc>,
    /// Time at which the latest message was added.
    pub updated_at: DateTime<Utc>,
}

impl Conversation {
    /// Returns its place in a list by the latest message.
    pub fn cursor(&self) -> ConversationCursor {
        ConversationCursor { updated_at: self.updated_at, id: self.id }
    }

    /// Bytes of the texts that its owner has written.
    pub(crate) fn text_bytes(&self) -> usize {
        let texts = [Some(&self.title), self.model.as_ref(), self.system.as_ref()];
        texts.into_iter().flatten().map(String::len).sum()
    }
}

/// Place in a list of conversations by their latest message: that of the last conversation on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConversationCursor {
    /// Time of its latest message.
    pub updated_at: DateTime<Utc>,
    /// Id of the conversation.
    pub id: ConversationId,
}

/// Request to create a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewConversation {
    /// Title of at most 200 characters.
    pub title: String,
    /// Model that answers; `None`: the default model.
    pub model: Option<String>,
    /// System prompt of at most 10,000 characters.
    pub system: Option<String>,
}

/// One stored message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMessage {
    /// Primary key; ids of later messages sort later.
    pub id: MessageId,
    /// Conversation that contains the message.
    pub conversation: ConversationId,
    /// Author and text of the message.
    pub message: ChatMessage,
    /// Time at which the message was written; for an answer, when it ended.
    pub created_at: DateTime<Utc>,
    /// Indicates an interrupted answer: its reader disconnected, or the model failed.
    pub cut: bool,
    /// Model, backend and token counts of an answer that ended.
    pub usage: Option<ModelUsage>,
}

impl StoredMessage {
    /// Creates a message written at `now`, complete and without usage.
    pub fn new(conversation: ConversationId, role: Role, content: String, now: DateTime<Utc>) -> Self {
        let message = ChatMessage { role, content };
        Self { id: MessageId::new(), conversation, message, created_at: now, cut: false, usage: None }
    }
}

/// Message to add to a conversation, with the sampling parameters of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    /// Text of 1 to 100,000 characters.
    pub content: String,
    /// Sampling parameters of the answer.
    pub answer: NewAnswer,
}

/// Sampling parameters of an answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewAnswer {
    /// Maximum number of tokens of the answer, 1 to 32,768.
    pub max_tokens: u32,
    /// Sampling temperature, 0.0 to 2.0.
    pub temperature: f32,
}

impl Default for NewAnswer {
    /// Returns the parameters of an answer of at most 512 tokens, at temperature 0.7.
    fn default() -> Self {
        Self { max_tokens: 512, temperature: 0.7 }
    }
}

impl NewMessage {
    /// Creates a message whose answer has at most 512 tokens, at temperature 0.7.
    pub fn new(content: impl Into<String>) -> Self {
        Self { content: content.into(), answer: NewAnswer::default() }
    }
}
