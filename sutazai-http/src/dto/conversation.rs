//! Conversations with a model, and their messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{
    Conversation, ConversationId, FinishReason, MessageId, ModelUsage, NewAnswer, NewConversation,
    NewMessage, Page, Role, StoredMessage, UserId,
};
use utoipa::ToSchema;

use crate::dto::page::{Cursor, PageView};
use crate::openapi::vocabulary::{FinishReasonWord, RoleOfSpeakerWord};

/// Request to create a conversation. Fields that are null or left out get their default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConversation {
    /// Title of the conversation; default: empty until the first message, whose first words it gets.
    #[schema(max_length = 200, example = "The sea")]
    title: Option<String>,
    /// Model that answers; default: the default model of the server.
    #[schema(min_length = 1, max_length = 200)]
    model: Option<String>,
    /// System prompt that precedes all messages.
    #[schema(min_length = 1, max_length = 10000, example = "Answer in one sentence.")]
    system: Option<String>,
}

impl From<CreateConversation> for NewConversation {
    fn from(body: CreateConversation) -> Self {
        Self { title: body.title.unwrap_or_default(), model: body.model, system: body.system }
    }
}

/// Message of the user. Fields that are null or left out get their default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateMessage {
    #[schema(min_length = 1, max_length = 100000, example = "Why is the sea salty?")]
    content: String,
    /// Maximum length of the answer in tokens; default 512.
    #[schema(minimum = 1, maximum = 32768)]
    max_tokens: Option<u32>,
    /// Sampling temperature; default 0.7.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
}

impl From<CreateMessage> for NewMessage {
    fn from(body: CreateMessage) -> Self {
        Self { answer: parameters(body.max_tokens, body.temperature), ..Self::new(body.content) }
    }
}

/// Parameters of a new answer. Fields that are null or left out get their default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskAgain {
    /// Maximum length of the answer in tokens; default 512.
    #[schema(minimum = 1, maximum = 32768)]
    max_tokens: Option<u32>,
    /// Sampling temperature; default 0.7.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
}

impl From<AskAgain> for NewAnswer {
    fn from(body: AskAgain) -> Self {
        parameters(body.max_tokens, body.temperature)
    }
}

fn parameters(max_tokens: Option<u32>, temperature: Option<f32>) -> NewAnswer {
    let default = NewAnswer::default();
    NewAnswer {
        max_tokens: max_tokens.unwrap_or(default.max_tokens),
        temperature: temperature.unwrap_or(default.temperature),
    }
}

/// Request to rename a conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameConversation {
    #[schema(max_length = 200, pattern = "^[^\\u0000]*$", example = "The sea")]
    pub(crate) title: String,
}

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
