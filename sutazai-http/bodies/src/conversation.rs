//! Requests that change conversations and ask their models.

use serde::{Deserialize, Serialize};
use sutazai_core::domain::{NewAnswer, NewConversation, NewMessage};
use utoipa::ToSchema;

/// Request to create a conversation. Fields that are null or left out get their default.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateConversation {
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
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateMessage {
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
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskAgain {
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
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenameConversation {
    #[schema(max_length = 200, pattern = "^[^\\u0000]*$", example = "The sea")]
    #[expect(missing_docs, reason = "a comment would be published as its description")]
    pub title: String,
}
