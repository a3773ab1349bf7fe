//! Conversations and their messages.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::{
    Conversation, ConversationId, ConversationPage, ConversationQuery, FinishReason, MessageId, MessagePage,
    ModelUsage, NewConversation, NewMessage, Role, StoredMessage, UserId,
};
use utoipa::{IntoParams, ToSchema};

use crate::document::words::{FinishReasonWord, RoleOfSpeakerWord};
use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};

/// A request for a conversation. What is null or left out has its default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConversation {
    /// What it is about.
    #[schema(max_length = 200, example = "The sea")]
    title: Option<String>,
    /// The model that is to answer; default: the one that answers by default.
    #[schema(min_length = 1, max_length = 200)]
    model: Option<String>,
    /// Instructions to stand before everything else.
    #[schema(min_length = 1, max_length = 10000, example = "Answer in one sentence.")]
    system: Option<String>,
}

impl From<CreateConversation> for NewConversation {
    fn from(body: CreateConversation) -> Self {
        Self { title: body.title.unwrap_or_default(), model: body.model, system: body.system }
    }
}

/// Something to say. What is null or left out has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateMessage {
    #[schema(min_length = 1, max_length = 100000, example = "Why is the sea salty?")]
    content: String,
    /// The answer has at most so many tokens; default 512.
    #[schema(minimum = 1, maximum = 32768)]
    max_tokens: Option<u32>,
    /// How freely the model chooses; default 0.7.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
}

impl From<CreateMessage> for NewMessage {
    fn from(body: CreateMessage) -> Self {
        let default = Self::new(body.content);
        Self {
            max_tokens: body.max_tokens.unwrap_or(default.max_tokens),
            temperature: body.temperature.unwrap_or(default.temperature),
            ..default
        }
    }
}

/// A conversation as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Conversation)]
pub(crate) struct ConversationView {
    #[schema(value_type = Uuid)]
    id: ConversationId,
    /// Whose it is; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    title: String,
    /// The model that answers; null: the one that answers by default.
    model: Option<String>,
    /// The instructions that stand before everything else.
    system: Option<String>,
    created_at: DateTime<Utc>,
    /// When the latest message was added.
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

/// One page of conversations.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationList {
    items: Vec<ConversationView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<ConversationPage> for ConversationList {
    fn from(page: ConversationPage) -> Self {
        Self {
            items: page.items.into_iter().map(ConversationView::from).collect(),
            next_cursor: page.next.map(|id| write_cursor(id.0)),
        }
    }
}

/// The parameters of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListPage {
    /// At most so many.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
    /// The `next_cursor` of the page before.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListPage {
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn conversations(&self) -> Result<ConversationQuery> {
        let before = self.cursor.as_deref().map(read_cursor).transpose()?.map(ConversationId);
        Ok(ConversationQuery { owner: None, before, limit: self.limit })
    }

    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn before(&self) -> Result<Option<MessageId>> {
        Ok(self.cursor.as_deref().map(read_cursor).transpose()?.map(MessageId))
    }
}

/// A message as it is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Message)]
pub(crate) struct MessageView {
    #[schema(value_type = Uuid)]
    id: MessageId,
    #[schema(value_type = RoleOfSpeakerWord)]
    role: Role,
    content: String,
    created_at: DateTime<Utc>,
    /// Whether it is an answer that was broken off: its reader went away, or the model failed.
    cut: bool,
    /// Who wrote it and what it cost, for an answer that ended.
    usage: Option<UsageView>,
}

/// Who wrote an answer and what it cost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelUsage)]
struct UsageView {
    backend: String,
    model: String,
    prompt_tokens: u32,
    completion_tokens: u32,
    #[schema(value_type = FinishReasonWord)]
    finish_reason: FinishReason,
    /// Why it is not the first choice of backend and model that answered; null when it is.
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

/// A conversation with one page of its messages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationWithMessages {
    conversation: ConversationView,
    /// The latest, oldest first. A page ends early with the message that brings its contents to 1 MB.
    messages: Vec<MessageView>,
    /// Hand it back as `cursor` for the messages before these; null when there may be none.
    next_cursor: Option<String>,
}

impl ConversationWithMessages {
    pub(crate) fn new(conversation: Conversation, page: MessagePage) -> Self {
        Self {
            conversation: conversation.into(),
            next_cursor: page.next.map(|id| write_cursor(id.0)),
            messages: page.items.into_iter().map(MessageView::from).collect(),
        }
    }
}

/// The `data` of the event `text`.
#[derive(Debug, Serialize)]
pub(crate) struct TextEvent {
    pub(crate) text: String,
}

/// The `data` of the event `done`.
#[derive(Debug, Serialize)]
pub(crate) struct DoneEvent {
    /// The answer.
    pub(crate) message: MessageView,
    /// What it answers.
    pub(crate) in_reply_to: MessageId,
}
