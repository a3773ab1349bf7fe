//! Requests for chat completions.

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_core::domain::{ChatMessage, Constraint, GenerateRequest, Role};
use sutazai_core::{Error, Result};
use utoipa::ToSchema;

use super::texts::Texts;
use crate::extract::Protocol;

/// The longest answer where the request does not say.
const MAX_TOKENS: u32 = 512;

/// A request for a chat completion. Parameters that change nothing about the answer (`user`, `metadata`, `store` ...) are
/// taken and not used; those that would change it and that this server does not have (`tools`, `logprobs`, `n` over 1
/// ...) are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateChatCompletion {
    /// The model's name.
    #[schema(min_length = 1)]
    model: String,
    /// The conversation so far.
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    /// The same as `max_completion_tokens`, under its older name.
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    /// The answer has at most so many tokens; default 512.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    /// How freely the model chooses; default 1.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
    /// Draws from the most probable tokens that make up this share.
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f32>,
    /// The same seed gives the same answer, where the backend can.
    seed: Option<i64>,
    /// The answer ends before any of these.
    stop: Option<Texts<4>>,
    /// Whether the answer comes piece by piece, as server-sent events.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    response_format: Option<ResponseFormat>,
}

/// One message of the conversation.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatMessageParam)]
struct Message {
    role: Speaker,
    content: Text,
}

/// Who speaks. `developer` is `system` under its newer name.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    System,
    Developer,
    User,
    Assistant,
}

/// A text, whole or in parts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of parts of type text")]
enum Text {
    Whole(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatTextPart)]
struct Part {
    #[serde(rename = "type")]
    _type: PartType,
    text: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PartType {
    Text,
}

/// What a stream tells.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// Whether the last chunk counts the tokens.
    #[serde(default)]
    include_usage: bool,
}

/// What the answer is to be. A JSON Schema is kept to, or the answer is an error.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    /// Any text.
    Text,
    /// A JSON object.
    JsonObject,
    /// A JSON document that fits a schema.
    JsonSchema { json_schema: NamedSchema },
}

/// A JSON Schema.
#[derive(Debug, Deserialize, ToSchema)]
struct NamedSchema {
    #[serde(rename = "name")]
    _name: String,
    /// Any object when it is left out.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
}

impl Protocol for CreateChatCompletion {
    const HARMLESS: &'static [&'static str] = &[
        "user",
        "metadata",
        "store",
        "service_tier",
        "parallel_tool_calls",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    ];
    const MISSING: &'static [(&'static str, &'static str)] = &[
        ("n", "1"),
        ("tools", "[]"),
        ("tool_choice", "\"none\""),
        ("functions", "[]"),
        ("function_call", "\"none\""),
        ("logprobs", "false"),
        ("top_logprobs", "0"),
        ("logit_bias", "{}"),
        ("presence_penalty", "0"),
        ("frequency_penalty", "0"),
        ("modalities", "[\"text\"]"),
        ("audio", "null"),
        ("prediction", "null"),
        ("reasoning_effort", "\"none\""),
        ("verbosity", "\"medium\""),
        ("web_search_options", "null"),
    ];
}

/// What to ask a model, and how to answer.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) model: String,
    pub(crate) request: GenerateRequest,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

impl CreateChatCompletion {
    /// # Errors
    /// `InvalidInput` naming the parameter.
    pub(crate) fn wanted(self) -> Result<Wanted> {
        if self.messages.is_empty() {
            return Err(Error::invalid("messages", "expected at least one message"));
        }
        let max_tokens = match (self.max_completion_tokens, self.max_tokens) {
            (Some(0), _) => {
                return Err(Error::invalid("max_completion_tokens", "expected at least 1, got 0"));
            }
            (_, Some(0)) => return Err(Error::invalid("max_tokens", "expected at least 1, got 0")),
            (Some(most), _) | (None, Some(most)) => most,
            (None, None) => MAX_TOKENS,
        };
        let request = GenerateRequest {
            model: Some(self.model.clone()),
            max_tokens,
            temperature: within("temperature", self.temperature, 2.0)?.unwrap_or(1.0),
            top_p: within("top_p", self.top_p, 1.0)?,
            // The protocol's own penalty, which is another one, is off unless asked for.
            repeat_penalty: 1.0,
            // Backends take 32 bits; which of them make no difference.
            seed: self.seed.map(|seed| seed as u32),
            stop: self.stop.map(|stop| stop.list("stop")).transpose()?.unwrap_or_default(),
            constraint: self.response_format.and_then(ResponseFormat::constraint),
            ..GenerateRequest::new(self.messages.into_iter().map(ChatMessage::from).collect())
        };
        let stream = self.stream.unwrap_or(false);
        if self.stream_options.is_some() && !stream {
            return Err(Error::invalid("stream_options", "expected nothing, since stream is not true"));
        }
        let include_usage = self.stream_options.unwrap_or_default().include_usage;
        Ok(Wanted { model: self.model, request, stream, include_usage })
    }
}

impl From<Message> for ChatMessage {
    fn from(message: Message) -> Self {
        let role = match message.role {
            Speaker::System | Speaker::Developer => Role::System,
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        let content = match message.content {
            Text::Whole(text) => text,
            Text::Parts(parts) => parts.into_iter().map(|part| part.text).collect(),
        };
        Self { role, content }
    }
}

impl ResponseFormat {
    fn constraint(self) -> Option<Constraint> {
        let object = || json!({ "type": "object" });
        match self {
            Self::Text => None,
            Self::JsonObject => Some(Constraint::JsonSchema(object())),
            Self::JsonSchema { json_schema } => {
                Some(Constraint::JsonSchema(json_schema.schema.unwrap_or_else(object)))
            }
        }
    }
}

fn within(name: &str, value: Option<f32>, most: f32) -> Result<Option<f32>> {
    match value {
        Some(value) if !(0.0..=most).contains(&value) => {
            Err(Error::invalid(name, format!("expected 0 to {most}, got {value}")))
        }
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: Value) -> Result<Wanted> {
        let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hello" }] });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value::<CreateChatCompletion>(body).unwrap().wanted()
    }

    #[test]
    fn every_parameter_reaches_the_request() {
        let wanted = read(json!({
            "messages": [
                { "role": "developer", "content": "be brief" },
                { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
                { "role": "assistant", "content": "c", "refusal": null },
            ],
            "max_tokens": 7, "temperature": 0.5, "top_p": 0.25, "seed": -1, "stop": "x", "stream": true,
            "stream_options": { "include_usage": true },
            "response_format": { "type": "json_schema", "json_schema": { "name": "n", "strict": true, "schema": { "type": "array" } } },
        }))
        .unwrap();
        let messages =
            vec![ChatMessage::system("be brief"), ChatMessage::user("ab"), ChatMessage::assistant("c")];
        let expected = GenerateRequest {
            model: Some("m".into()),
            max_tokens: 7,
            temperature: 0.5,
            top_p: Some(0.25),
            repeat_penalty: 1.0,
            seed: Some(u32::MAX),
            stop: vec!["x".into()],
            constraint: Some(Constraint::JsonSchema(json!({ "type": "array" }))),
            ..GenerateRequest::new(messages)
        };
        assert_eq!((wanted.request, wanted.stream, wanted.include_usage), (expected, true, true));
    }

    #[test]
    fn what_is_out_of_bounds_is_named() {
        for (more, field) in [
            (json!({ "messages": [] }), "messages"),
            (json!({ "max_tokens": 0 }), "max_tokens"),
            (json!({ "max_completion_tokens": 0 }), "max_completion_tokens"),
            (json!({ "temperature": 2.1 }), "temperature"),
            (json!({ "top_p": -0.1 }), "top_p"),
            (json!({ "stop": ["a", "b", "c", "d", "e"] }), "stop"),
            (json!({ "stop": "" }), "stop"),
            (json!({ "stream_options": { "include_usage": true } }), "stream_options"),
        ] {
            assert_eq!(read(more).unwrap_err().field(), Some(field));
        }
    }
}
