//! Conversations with a model, and their messages.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sutazai_bodies::page::{Cursor, PageView};
use sutazai_bodies::vocabulary::{FinishReasonWord, RoleOfSpeakerWord};
use sutazai_core::domain::{
    Conversation, ConversationId, FinishReason, MessageId, ModelUsage, Page, Role, StoredMessage, UserId,
};
use utoipa::ToSchema;

/// Conversation as shown to its owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView {
    #[schema(value_type = Uuid)]
    id: ConversationId,
    /// Owner; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    title: String,
    /// Model that answers; null: the default model of the server.
    model: Option<String>,
    /// System prompt that precedes all messages.
    system: Option<String>,
    created_at: DateTime<Utc>,
    /// Time of the latest message.
    updated_at: DateTime<Utc>,
}

impl From<Conversation> for ConversationView {
    fn from(conversation: Conversation) -> Self {
        Self {
            id: conversation.id,
            owner: conversation.owner,
            title: conversation.title,
            model: conversation.model,
            system: conversation.system,
            created_at: conversation.created_at,
            updated_at: conversation.updated_at,
        }
    }
}

/// One page of conversations, the one with the latest message first.
pub(crate) type ConversationList = PageView<ConversationView>;

/// Stored message of a conversation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    #[schema(value_type = Uuid)]
    id: MessageId,
    #[schema(value_type = RoleOfSpeakerWord)]
    role: Role,
    content: String,
    created_at: DateTime<Utc>,
    /// True if the answer is incomplete, because the client disconnected or the model failed.
    cut: bool,
    /// Model and token counts of an answer that is complete; null otherwise.
    usage: Option<UsageView>,
}

/// Model that wrote an answer, with token counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelUsage)]
struct UsageView {
    backend: String,
    model: String,
    prompt_tokens: u32,
    completion_tokens: u32,
    #[schema(value_type = FinishReasonWord)]
    finish_reason: FinishReason,
    /// Reason why another backend or model than the first choice answered; null when the first choice did.
    degraded: Option<String>,
}

impl From<ModelUsage> for UsageView {
    fn from(usage: ModelUsage) -> Self {
        Self {
            backend: usage.backend,
            model: usage.model,
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            finish_reason: usage.finish_reason,
            degraded: usage.degraded,
        }
    }
}

impl From<StoredMessage> for MessageView {
    fn from(message: StoredMessage) -> Self {
        Self {
            id: message.id,
            role: message.message.role,
            content: message.message.content,
            created_at: message.created_at,
            cut: message.cut,
            usage: message.usage.map(UsageView::from),
        }
    }
}

/// Conversation with one page of its messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationWithMessages {
    conversation: ConversationView,
    /// Latest messages, oldest first. A page ends early with the message that brings its contents to 1 MB.
    messages: Vec<MessageView>,
    /// Cursor of the page before this one; null when there are no earlier messages.
    next_cursor: Option<String>,
}

impl ConversationWithMessages {
    pub(crate) fn new(conversation: Conversation, page: Page<StoredMessage, MessageId>) -> Self {
        Self {
            conversation: conversation.into(),
            next_cursor: page.next.as_ref().map(Cursor::write),
            messages: page.items.into_iter().map(MessageView::from).collect(),
        }
    }
}

/// Data of the server-sent event `text`.
#[derive(Debug, Serialize)]
pub(crate) struct TextEvent {
    pub(crate) text: String,
}

/// Data of the server-sent event `done`.
#[derive(Debug, Serialize)]
pub(crate) struct DoneEvent {
    /// Stored answer of the model.
    pub(crate) message: MessageView,
    /// Id of the message that it answers.
    pub(crate) in_reply_to: MessageId,
}
