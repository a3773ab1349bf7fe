//! What is asked of a model and what comes back.

use std::str::FromStr;
use std::time::Duration;

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::UserId;
use super::schema;
use crate::error::{Error, Result};

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
    /// All of them.
    pub const ALL: [Self; 3] = [Self::System, Self::User, Self::Assistant];

    /// In lower case, as chat protocols spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == s)
            .ok_or_else(|| Error::invalid("role", "expected system, user or assistant"))
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// A JSON document that fits this JSON Schema.
    JsonSchema(Value),
    /// A text of this grammar in Lark notation, as llguidance reads it (github.com/guidance-ai/llguidance,
    /// docs/syntax.md); its start symbol is `start`.
    Grammar(String),
    /// This text and no other. Nothing is chosen then: the request asks how probable the text is as the answer, which
    /// [`ModelUsage::fluency`] says.
    Text(String),
}

impl Constraint {
    /// Whether a finished text conforms. Backends whose model may stray from a schema ask here before they say that
    /// an answer ended well. A grammar is not read here: only a backend that samples by it supports one.
    ///
    /// # Errors
    /// `InvalidInput` when the schema is none or exceeds the limits of [`schema`]; `Misfit` when the text does not fit.
    pub fn check(&self, text: &str) -> Result<()> {
        if let Self::Text(wanted) = self
            && wanted != text
        {
            return Err(Error::misfit("the model's answer is not the text that was asked for"));
        }
        let Some(validator) = self.validator()? else { return Ok(()) };
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::misfit(format!("the model's answer is no JSON: {e}")))?;
        // Only whether it fits: the errors of all alternatives would take memory for each.
        match validator.is_valid(&value) {
            true => Ok(()),
            false => Err(Error::misfit("the model's answer does not fit the JSON Schema")),
        }
    }

    /// Whether the schema is one and within the limits of [`schema`].
    ///
    /// # Errors
    /// `InvalidInput` naming `constraint`.
    pub fn check_schema(&self) -> Result<()> {
        self.validator().map(|_| ())
    }

    fn validator(&self) -> Result<Option<Validator>> {
        let Self::JsonSchema(schema) = self else { return Ok(None) };
        schema::validator(schema).map(Some)
    }
}

/// A request for text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateRequest {
    /// Which model; none: the backend's own choice.
    pub model: Option<String>,
    /// The conversation so far; the model's chat template is applied to it.
    pub messages: Vec<ChatMessage>,
    /// At most so many tokens.
    pub max_tokens: u32,
    /// How freely the model chooses; 0.0 is greedy, none the backend's own choice.
    pub temperature: Option<f32>,
    /// Draws from the most probable tokens that make up this share, 0.0 to 1.0; none: the backend's own choice.
    pub top_p: Option<f32>,
    /// How strongly tokens that were just used are avoided; 1.0 is not at all, none the backend's own choice. Backends
    /// whose protocol has no such penalty leave it out.
    pub repeat_penalty: Option<f32>,
    /// Makes sampling repeatable, where the backend can. Every bit of it counts, or the request is refused.
    pub seed: Option<i64>,
    /// Ends the text before any of these.
    pub stop: Vec<String>,
    /// What the text must conform to.
    pub constraint: Option<Constraint>,
    /// How long the whole answer may take.
    pub timeout: Option<Duration>,
    /// The user for whom a backend may keep what it has read of the prompt. It is reused for requests of the same user only:
    /// how soon an answer begins would tell whether somebody else has sent the same beginning.
    pub prefix_owner: Option<UserId>,
}

impl GenerateRequest {
    /// A request with these messages, at most 512 tokens, temperature 0.7, no constraint.
    pub fn new(messages: Vec<ChatMessage>) -> Self {
        Self {
            model: None,
            messages,
            max_tokens: 512,
            temperature: Some(0.7),
            top_p: None,
            repeat_penalty: Some(1.1),
            seed: None,
            stop: Vec::new(),
            constraint: None,
            timeout: None,
            prefix_owner: None,
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
    /// The backend's filter cut the text or left nothing of it.
    ContentFilter,
}

impl FinishReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Stop, Self::Length, Self::ContentFilter];

    /// In lower case, as chat protocols spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
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
    /// The model's words where it refused to answer; such an answer need not fit a constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Why this answer is not from the first choice of backend and model; none when it is.
    pub degraded: Option<String>,
    /// Geometric mean over the sampled tokens of the probability, 0.0 to 1.0, that the model without the constraint gives
    /// to what the constraint allows; none without a constraint, or where the backend does not measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fluency: Option<f32>,
}

/// Texts as vectors: those of like meaning lie near each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// The backend that made them.
    pub backend: String,
    /// The model that made them.
    pub model: String,
    /// One for each text, in their order; all of one length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read; none where the backend does not tell.
    pub prompt_tokens: Option<u32>,
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
    /// The longest conversation that a request can have, its answer included, in tokens, where known.
    pub context_length: Option<u32>,
    /// Identifies the weights, as `sha256:` and hexadecimal digits or as the server names it; none where unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The child process that runs the model; none where the model runs elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ModelProcess>,
    /// What an operator should know of it, such as a chat template that is not used; none where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ModelInfo {
    /// A model of which only its name and its backend are known.
    pub fn new(name: impl Into<String>, backend: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            backend: backend.into(),
            size_bytes: None,
            parameters: None,
            context_length: None,
            digest: None,
            process: None,
            note: None,
        }
    }

    /// Whether a request for this name goes to this model. Ollama lists `tinyllama:latest` for what people call
    /// `tinyllama`, and does not distinguish upper and lower case.
    pub fn is_called(&self, wanted: &str) -> bool {
        let same =
            |name: &str| name == wanted || (self.backend == "ollama" && name.eq_ignore_ascii_case(wanted));
        same(&self.name) || self.name.strip_suffix(":latest").is_some_and(same)
    }
}

/// The child process that runs an embedded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProcess {
    /// Whether it serves requests.
    pub state: ProcessState,
    /// How often it has ended unexpectedly since this process started.
    pub crashes: u64,
    /// How it last ended unexpectedly, such as `killed by SIGSEGV`.
    pub last_crash: Option<String>,
    /// The CPU variant whose kernels it uses, such as `haswell`; none until it is known.
    pub variant: Option<String>,
}

/// The state of a model's child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It loads the model.
    Starting,
    /// It serves requests.
    Ready,
    /// It has ended and is started again after a delay.
    Restarting,
}

impl ProcessState {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Restarting => "restarting",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_text_is_checked_against_the_schema() {
        let constraint = Constraint::JsonSchema(json!({ "type": "object", "required": ["n"] }));
        assert!(constraint.check(r#" {"n": 1} "#).is_ok());
        for bad in ["", "{", "[1]", "{}", "{\"n\": 1} and more"] {
            assert_eq!(constraint.check(bad).unwrap_err().kind(), ErrorKind::Misfit, "{bad}");
        }
        let none = Constraint::JsonSchema(json!({ "type": "nonsense" }));
        assert_eq!(none.check("1").unwrap_err().field(), Some("constraint"));
        assert!(Constraint::Grammar("start: \"a\"".into()).check("anything").is_ok());
    }

    #[test]
    fn keys_of_a_schema_keep_their_order_at_every_depth() {
        let text = r#"{"type":"object","properties":{"zebra":{"properties":{"b":{},"a":{}}},"apple":{"anyOf":[{"required":["y","x"],"maxItems":1,"items":{}}]}},"$defs":{"z":{},"y":{}}}"#;
        let constraint: Constraint = serde_json::from_str(&format!(r#"{{"json_schema":{text}}}"#)).unwrap();
        assert_eq!(constraint, Constraint::JsonSchema(serde_json::from_str(text).unwrap()));
        assert_eq!(serde_json::to_string(&constraint).unwrap(), format!(r#"{{"json_schema":{text}}}"#));
    }

    #[test]
    fn a_model_is_called_as_its_backend_takes_it() {
        let ollama = ModelInfo::new("Org/Llama3:latest", "ollama");
        assert!(["Org/Llama3:latest", "Org/Llama3", "org/llama3"].iter().all(|name| ollama.is_called(name)));
        assert!(!ollama.is_called("Org/Llama3:8b") && !ollama.is_called("Llama3"));
        assert!(!ModelInfo::new("Llama3", "openai").is_called("llama3"));
    }
}
