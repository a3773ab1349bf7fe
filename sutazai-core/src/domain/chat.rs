//! What is asked of a model and what comes back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator's instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// In lower case, as chat protocols spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// Who speaks.
    pub role: Role,
    /// What they say.
    pub content: String,
}

impl ChatMessage {
    /// A message of the operator.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }

    /// A message of the person.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// A message of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

/// What the answer's text must conform to.
#[derive(Debug, Clone, PartialEq)]
pub enum Constraint {
    /// A JSON document that fits this JSON Schema.
    JsonSchema(Value),
    /// A text of this grammar in GBNF, llama.cpp's notation; its start symbol is `root`.
    Grammar(String),
}

/// A request for text.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    /// Which model; none: the backend's own choice.
    pub model: Option<String>,
    /// The conversation so far; the model's chat template is applied to it.
    pub messages: Vec<ChatMessage>,
    /// At most so many tokens.
    pub max_tokens: u32,
    /// 0.0 is greedy.
    pub temperature: f32,
    /// How strongly tokens that were just used are avoided; 1.0 is not at all.
    pub repeat_penalty: f32,
    /// Makes sampling repeatable, where the backend can.
    pub seed: Option<u32>,
    /// Ends the text before any of these.
    pub stop: Vec<String>,
    /// What the text must conform to.
    pub constraint: Option<Constraint>,
    /// How long the whole answer may take.
    pub timeout: Option<Duration>,
}

impl GenerateRequest {
    /// A request with these messages, at most 512 tokens, temperature 0.7, no constraint.
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self {
            model: None,
            messages,
            max_tokens: 512,
            temperature: 0.7,
            repeat_penalty: 1.1,
            seed: None,
            stop: Vec::new(),
            constraint: None,
            timeout: None,
        }
    }
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended it, or a stop text came.
    Stop,
    /// The token limit came first.
    Length,
}

/// What a generation cost and who did it; the last event of every stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelUsage {
    /// The backend that answered.
    pub backend: String,
    /// The model that answered.
    pub model: String,
    /// Tokens read.
    pub prompt_tokens: u32,
    /// Tokens written.
    pub completion_tokens: u32,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// Why this answer is not from the first choice of backend and model; none when it is.
    pub degraded: Option<String>,
}

/// One piece of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// More text.
    Text(String),
    /// The end.
    Done(ModelUsage),
}

/// A model that a backend really has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Its name, as requests give it.
    pub name: String,
    /// The backend that has it.
    pub backend: String,
    /// Size on disk in bytes, where known.
    pub size_bytes: Option<u64>,
    /// How many parameters, where known.
    pub parameters: Option<u64>,
    /// The longest conversation in tokens, where known.
    pub context_length: Option<u32>,
}
