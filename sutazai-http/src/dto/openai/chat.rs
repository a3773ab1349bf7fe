//! Requests for chat completions.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use sutazai_core::domain::{ChatMessage, Constraint, GenerateRequest, Role};
use sutazai_core::{Error, Result};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::text_input::Texts;
use crate::extract::Protocol;

/// Default maximum length of an answer, in tokens.
const DEFAULT_MAX_TOKENS: u32 = 512;

/// Request for a chat completion. Parameters without an effect on the answer (`user`, `metadata`, `store` ...) are
/// accepted and ignored; parameters that would change it but are not supported (`tools`, `logprobs`, `n` over 1 ...)
/// are rejected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateChatCompletion {
    /// Name of the model.
    #[schema(min_length = 1)]
    model: String,
    /// Messages of the conversation so far.
    #[schema(min_items = 1)]
    messages: Vec<Message>,
    /// Deprecated name of `max_completion_tokens`.
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    /// Maximum length of the answer in tokens; default 512.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    /// Sampling temperature; default: the default of the backend for the model, 1 for an embedded model.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
    /// Nucleus sampling: considers only the most probable tokens that together have this probability.
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f32>,
    /// Seed of 64 bits: the same seed gives the same answer, if the backend supports it.
    seed: Option<i64>,
    /// Up to 4 stop sequences: the answer ends before the first of them.
    stop: Option<Texts<4>>,
    /// True to stream the answer as server-sent events.
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    response_format: Option<ResponseFormat>,
}

/// Message of the conversation. Fields that OpenAI's clients copy from an answer are accepted; `name` and tool calls
/// are rejected, because no model of this server receives them.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatMessageParam)]
#[serde(deny_unknown_fields)]
struct Message {
    role: Speaker,
    /// Text of the message; may be null in a message of the assistant.
    content: Option<Text>,
    /// Text of the assistant's refusal to answer; used as its content.
    refusal: Option<String>,
    #[serde(rename = "name")]
    _name: Option<Nothing>,
    #[serde(rename = "annotations")]
    _annotations: Option<Nothing>,
    #[serde(rename = "tool_calls")]
    _tool_calls: Option<Nothing>,
    #[serde(rename = "function_call")]
    _function_call: Option<Nothing>,
    #[serde(rename = "audio")]
    _audio: Option<Nothing>,
}

/// Value of an unsupported field: null or an empty list.
#[derive(Debug)]
struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NothingVisitor)
    }
}

struct NothingVisitor;

impl<'de> Visitor<'de> for NothingVisitor {
    type Value = Nothing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null or nothing, since this server does not have this")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Nothing, A::Error> {
        match list.next_element::<IgnoredAny>()? {
            None => Ok(Nothing),
            Some(_) => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        }
    }
}

impl PartialSchema for Nothing {
    fn schema() -> RefOr<Schema> {
        ArrayBuilder::new().max_items(Some(0)).into()
    }
}

impl ToSchema for Nothing {}

/// Author of a message. `developer` is the newer name of `system`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Speaker {
    System,
    Developer,
    User,
    Assistant,
}

/// Text as one string or as a list of parts.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "expected a text or a list of parts of type text")]
enum Text {
    Whole(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ChatTextPart)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Part {
    Text {
        text: String,
    },
    /// Text of the assistant's refusal to answer.
    Refusal {
        refusal: String,
    },
}

/// Options of a stream.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamOptions {
    /// True if the last chunk contains the token counts.
    include_usage: Option<bool>,
    /// Padding of chunks to equal length; not supported, must be false or left out.
    include_obfuscation: Option<bool>,
}

/// Format of the answer. An answer that does not conform to a JSON Schema is an error.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResponseFormat {
    r#type: FormatType,
    /// Schema for the type `json_schema`.
    json_schema: Option<NamedSchema>,
    /// Schema for the type `json_object`; an extension of llama.cpp's server.
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
}

/// `text`: any text; `json_object`: a JSON object; `json_schema`: a JSON value that conforms to a schema.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum FormatType {
    Text,
    JsonObject,
    JsonSchema,
}

/// JSON Schema with a name and a description.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NamedSchema {
    #[serde(rename = "name")]
    _name: String,
    /// Purpose of the answer; used as the description of a schema that has none.
    description: Option<String>,
    /// Ignored: a schema is always enforced.
    #[serde(rename = "strict")]
    _strict: Option<bool>,
    /// JSON Schema of the answer; left out: any object.
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
        "prompt_cache_options",
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
        ("moderation", "null"),
        ("prediction", "null"),
        ("reasoning_effort", "\"none\""),
        ("verbosity", "\"medium\""),
        ("web_search_options", "null"),
    ];
}

/// Validated request: what to send to the model, and how to respond.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) model: String,
    pub(crate) request: GenerateRequest,
    /// The parameter that says how long the answer may be: errors about it name the one that was sent.
    pub(crate) length_parameter: &'static str,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
}

impl CreateChatCompletion {
    /// Validates the request and converts it into a request to a model backend.
    ///
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
            (Some(max), Some(other)) if max != other => {
                let message =
                    format!("expected {max}, as max_completion_tokens says, or nothing, got {other}");
                return Err(Error::invalid("max_tokens", message));
            }
            (Some(max), _) | (None, Some(max)) => max,
            (None, None) => DEFAULT_MAX_TOKENS,
        };
        let length_parameter =
            if self.max_completion_tokens.is_some() { "max_completion_tokens" } else { "max_tokens" };
        let messages = self.messages.into_iter().enumerate().map(|(at, message)| message.read(at));
        let messages = messages.collect::<Result<Vec<_>>>()?;
        let request = GenerateRequest {
            model: Some(self.model.clone()),
            max_tokens,
            temperature: within("temperature", self.temperature, 2.0)?,
            top_p: within("top_p", self.top_p, 1.0)?,
            // The protocol has no such parameter; the backend applies its default.
            repeat_penalty: None,
            seed: self.seed,
            stop: match self.stop {
                Some(stop) if !stop.is_empty() => stop.list("stop")?,
                _ => Vec::new(),
            },
            constraint: self.response_format.map_or(Ok(None), ResponseFormat::constraint)?,
            ..GenerateRequest::new(messages)
        };
        let stream = self.stream.unwrap_or(false);
        let StreamOptions { include_usage, include_obfuscation } = self.stream_options.unwrap_or_default();
        let include_usage = include_usage.unwrap_or(false);
        if include_usage && !stream {
            return Err(Error::invalid("stream_options", "expected nothing, since stream is not true"));
        }
        if include_obfuscation == Some(true) {
            let message = "this server does not have this; expected false or nothing";
            return Err(Error::invalid("stream_options.include_obfuscation", message));
        }
        Ok(Wanted { model: self.model, request, length_parameter, stream, include_usage })
    }
}

impl Message {
    /// Converts the message at index `at` of the request.
    ///
    /// # Errors
    /// `InvalidInput` naming `content` where one of another speaker than the assistant has none.
    fn read(self, at: usize) -> Result<ChatMessage> {
        let content = match (self.content, self.refusal) {
            (Some(Text::Whole(text)), None) => text,
            (Some(Text::Whole(text)), Some(refusal)) => text + &refusal,
            (Some(Text::Parts(parts)), refusal) => parts.into_iter().map(Part::text).chain(refusal).collect(),
            (None, refusal) if self.role == Speaker::Assistant => refusal.unwrap_or_default(),
            (None, _) => {
                let message = "expected a text or a list of parts of type text";
                return Err(Error::invalid(format!("messages[{at}].content"), message));
            }
        };
        let role = match self.role {
            Speaker::System | Speaker::Developer => Role::System,
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
        };
        Ok(ChatMessage { role, content })
    }
}

impl Part {
    fn text(self) -> String {
        match self {
            Self::Text { text } | Self::Refusal { refusal: text } => text,
        }
    }
}

impl ResponseFormat {
    /// Converts the format into a constraint; `None` for plain text.
    ///
    /// # Errors
    /// `InvalidInput` naming a key that does not belong to the type.
    fn constraint(self) -> Result<Option<Constraint>> {
        let stray = |key: &str| {
            let message = "expected nothing, since type says otherwise";
            Err(Error::invalid(format!("response_format.{key}"), message))
        };
        let object = || json!({ "type": "object" });
        let schema = match (self.r#type, self.json_schema, self.schema) {
            (FormatType::Text | FormatType::JsonObject, Some(_), _) => return stray("json_schema"),
            (FormatType::Text | FormatType::JsonSchema, _, Some(_)) => return stray("schema"),
            (FormatType::Text, None, None) => return Ok(None),
            (FormatType::JsonObject, None, schema) => schema.unwrap_or_else(object),
            (FormatType::JsonSchema, Some(named), None) => named.schema(object),
            (FormatType::JsonSchema, None, None) => {
                return Err(Error::invalid("response_format.json_schema", "expected a name and a schema"));
            }
        };
        Ok(Some(Constraint::JsonSchema(schema)))
    }
}

impl NamedSchema {
    fn schema(self, default: impl FnOnce() -> Value) -> Value {
        let mut schema = self.schema.unwrap_or_else(default);
        if let (Some(description), Some(object)) = (self.description, schema.as_object_mut()) {
            object.entry("description").or_insert(description.into());
        }
        schema
    }
}

fn within(name: &str, value: Option<f32>, max: f32) -> Result<Option<f32>> {
    match value {
        Some(value) if !(0.0..=max).contains(&value) => {
            Err(Error::invalid(name, format!("expected 0 to {max}, got {value}")))
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
        serde_json::from_str::<CreateChatCompletion>(&body.to_string()).unwrap().wanted()
    }

    #[test]
    fn every_parameter_reaches_the_request() {
        let wanted = read(json!({
            "messages": [
                { "role": "developer", "content": "be brief" },
                { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
                { "role": "assistant", "content": "c", "refusal": null, "annotations": [], "tool_calls": null },
                { "role": "assistant", "content": null, "refusal": "d" },
                { "role": "assistant", "content": null },
            ],
            "max_tokens": 7, "max_completion_tokens": 7, "temperature": 0.5, "top_p": 0.25, "seed": -1, "stop": "x", "stream": true,
            "stream_options": { "include_usage": true },
            "response_format": { "type": "json_schema", "json_schema": {
                "name": "n", "strict": true, "description": "Names.", "schema": { "type": "array" },
            } },
        }))
        .unwrap();
        let mut messages = vec![ChatMessage::system("be brief"), ChatMessage::user("ab")];
        messages.extend(["c", "d", ""].map(ChatMessage::assistant));
        let expected = GenerateRequest {
            model: Some("m".into()),
            max_tokens: 7,
            temperature: Some(0.5),
            top_p: Some(0.25),
            repeat_penalty: None,
            seed: Some(-1),
            stop: vec!["x".into()],
            constraint: Some(Constraint::JsonSchema(json!({ "type": "array", "description": "Names." }))),
            ..GenerateRequest::new(messages)
        };
        assert_eq!((wanted.request, wanted.stream, wanted.include_usage), (expected, true, true));
    }

    #[test]
    fn option_without_effect_is_accepted() {
        let bare = GenerateRequest {
            temperature: None,
            repeat_penalty: None,
            model: Some("m".into()),
            ..GenerateRequest::new(vec![ChatMessage::user("hello")])
        };
        for more in [
            json!({}),
            json!({ "stop": [] }),
            json!({ "stream_options": {} }),
            json!({ "stream_options": { "include_usage": null, "include_obfuscation": false } }),
            json!({ "response_format": { "type": "text", "json_schema": null } }),
        ] {
            let wanted = read(more).unwrap();
            assert_eq!((wanted.request, wanted.include_usage), (bare.clone(), false));
        }
        let schema = json!({ "type": "object", "required": ["zebra", "apple"] });
        let wanted = read(json!({ "response_format": { "type": "json_object", "schema": schema } })).unwrap();
        assert_eq!(wanted.request.constraint, Some(Constraint::JsonSchema(schema)));
    }

    #[test]
    fn invalid_parameter_is_named() {
        for (more, field) in [
            (json!({ "messages": [] }), "messages"),
            (json!({ "max_tokens": 0 }), "max_tokens"),
            (json!({ "max_completion_tokens": 0 }), "max_completion_tokens"),
            (json!({ "max_completion_tokens": 9, "max_tokens": 8 }), "max_tokens"),
            (json!({ "messages": [{ "role": "user", "content": null }] }), "messages[0].content"),
            (json!({ "response_format": { "type": "json_schema" } }), "response_format.json_schema"),
            (json!({ "response_format": { "type": "text", "schema": {} } }), "response_format.schema"),
            (
                json!({ "response_format": { "type": "json_object", "json_schema": { "name": "n" } } }),
                "response_format.json_schema",
            ),
            (
                json!({ "stream": true, "stream_options": { "include_obfuscation": true } }),
                "stream_options.include_obfuscation",
            ),
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
