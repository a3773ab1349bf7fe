//! Requests to models and their responses.

use std::str::FromStr;
use std::time::Duration;

use jsonschema::Validator;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::UserId;
use super::schema;
use crate::error::{Error, Result};

/// Author of a chat message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions of the operator.
    System,
    /// The person who talks to the model.
    User,
    /// The model that answers.
    Assistant,
}

impl Role {
    /// Every role, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::System, Self::User, Self::Assistant];

    /// Returns the name in lower case, as chat protocols have it.
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
    /// Author of the message.
    pub role: Role,
    /// Text of the message.
    pub content: String,
}

impl ChatMessage {
    /// Creates a message with instructions of the operator.
    pub fn system(content: impl Into<String>) -> Self {
        Self { role: Role::System, content: content.into() }
    }

    /// Creates a message of the person.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }

    /// Creates a message of the model.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self { role: Role::Assistant, content: content.into() }
    }
}

/// Constraint that the text of an answer must conform to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// The text is a JSON document that conforms to this JSON Schema.
    JsonSchema(Value),
    /// The text belongs to this grammar in Lark notation, as llguidance reads it (github.com/guidance-ai/llguidance,
    /// docs/syntax.md); the start symbol is `start`.
    Grammar(String),
    /// The text is exactly this one. Nothing is sampled: the request measures how probable the text is as the answer,
    /// which [`ModelUsage::fluency`] reports.
    Text(String),
}

impl Constraint {
    /// Checks that a finished text conforms. Backends whose model may deviate from a schema call this before they
    /// report a successful end. A grammar is not checked here, because only backends that sample by it accept one.
    ///
    /// # Errors
    /// `InvalidInput` if the schema is invalid or exceeds the limits of [`schema`]; `Misfit` if the text does not
    /// conform.
    pub fn check(&self, text: &str) -> Result<()> {
        if let Self::Text(wanted) = self
            && wanted != text
        {
            return Err(Error::misfit("the model's answer is not the requested text"));
        }
        let Some(validator) = self.validator()? else { return Ok(()) };
        let value: Value = serde_json::from_str(text)
            .map_err(|e| Error::misfit(format!("the model's answer is not JSON: {e}")))?;
        // `is_valid` only: collecting the errors of all alternatives would take memory for each of them.
        match validator.is_valid(&value) {
            true => Ok(()),
            false => Err(Error::misfit("the model's answer does not fit the JSON Schema")),
        }
    }

    /// Checks that the schema is valid and within the limits of [`schema`].
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

/// Request to generate a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenerateRequest {
    /// Name of the model; `None`: the backend's default.
    pub model: Option<String>,
    /// The conversation so far; the backend applies the model's chat template.
    pub messages: Vec<ChatMessage>,
    /// Maximum number of generated tokens.
    pub max_tokens: u32,
    /// Sampling temperature; 0.0 is greedy, `None` is the backend's default.
    pub temperature: Option<f32>,
    /// Nucleus sampling: samples from the most probable tokens that make up this share, 0.0 to 1.0; `None`: the
    /// backend's default.
    pub top_p: Option<f32>,
    /// Penalty for recently used tokens; 1.0 is no penalty, `None` the backend's default. Backends whose protocol has
    /// no such parameter ignore it.
    pub repeat_penalty: Option<f32>,
    /// Seed for repeatable sampling, where the backend supports it. A backend that cannot use all 64 bits rejects the
    /// request.
    pub seed: Option<i64>,
    /// Stop texts: generation ends before the first of them.
    pub stop: Vec<String>,
    /// Constraint that the text must conform to.
    pub constraint: Option<Constraint>,
    /// Time limit for the whole answer.
    pub timeout: Option<Duration>,
    /// User for whom a backend may cache the evaluated prompt prefix. The cache is reused for requests of the same user
    /// only: otherwise the latency of an answer would reveal whether somebody else has sent the same prefix.
    pub prefix_owner: Option<UserId>,
}

impl GenerateRequest {
    /// Creates a request with at most 512 tokens, temperature 0.7, repeat penalty 1.1 and no constraint.
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

/// Reason why a generated text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model ended the text, or a stop text was generated.
    Stop,
    /// The token limit was reached.
    Length,
    /// The backend's content filter cut the text or removed all of it.
    ContentFilter,
}

impl FinishReason {
    /// Every reason, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Stop, Self::Length, Self::ContentFilter];

    /// Returns the name in lower case, as chat protocols have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Model, backend and token counts of a generation; the last event of every stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelUsage {
    /// Name of the backend that answered.
    pub backend: String,
    /// Name of the model that answered.
    pub model: String,
    /// Number of prompt tokens.
    pub prompt_tokens: u32,
    /// Number of generated tokens.
    pub completion_tokens: u32,
    /// Reason why the text ended.
    pub finish_reason: FinishReason,
    /// The model's own text when it refused to answer; a refusal need not conform to a constraint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// Reason why another backend or model than the preferred one answered; `None` if the preferred one did.
    pub degraded: Option<String>,
    /// Geometric mean, over the sampled tokens, of the probability (0.0 to 1.0) that the unconstrained model gives to
    /// the allowed tokens; `None` without a constraint, or if the backend does not measure it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fluency: Option<f32>,
}

/// Embedding vectors of texts: similar meanings have vectors near each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    /// Name of the backend that computed them.
    pub backend: String,
    /// Name of the model that computed them.
    pub model: String,
    /// One vector per text, in the order of the texts and all of the same length.
    pub vectors: Vec<Vec<f32>>,
    /// Number of prompt tokens; `None` if the backend does not report it.
    pub prompt_tokens: Option<u32>,
}

/// One event of a streamed answer.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelEvent {
    /// The next piece of the text.
    Text(String),
    /// The end of the answer, with its usage.
    Done(ModelUsage),
}

/// Purpose that a model was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelPurpose {
    /// The model generates text.
    Write,
    /// The model computes embeddings of texts.
    Embed,
}

impl ModelPurpose {
    /// Returns the name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Embed => "embed",
        }
    }
}

/// A model that a backend has available.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Name of the model, as requests use it.
    pub name: String,
    /// Name of the backend that has it.
    pub backend: String,
    /// Size on disk in bytes, if known.
    pub size_bytes: Option<u64>,
    /// Number of parameters, if known.
    pub parameters: Option<u64>,
    /// Context length in tokens, the answer included, if known.
    pub context_length: Option<u32>,
    /// Purpose of the model, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<ModelPurpose>,
    /// Digest of the weights, as `sha256:` and hexadecimal digits or in the server's own form; `None` if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Child process that runs the model; `None` if the model does not run in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ModelProcess>,
    /// Remark for operators, such as an unused chat template; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ModelInfo {
    /// Creates a model of which only the name and the backend are known.
    pub fn new(name: impl Into<String>, backend: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            backend: backend.into(),
            size_bytes: None,
            parameters: None,
            context_length: None,
            purpose: None,
            digest: None,
            process: None,
            note: None,
        }
    }

    /// Returns whether a request for this name addresses this model. Ollama lists `tinyllama:latest` for what people
    /// call `tinyllama`, and compares names without regard to case.
    pub fn is_called(&self, wanted: &str) -> bool {
        let same =
            |name: &str| name == wanted || (self.backend == "ollama" && name.eq_ignore_ascii_case(wanted));
        same(&self.name) || self.name.strip_suffix(":latest").is_some_and(same)
    }
}

/// Status of the child process that runs an embedded model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelProcess {
    /// Current state of the process.
    pub state: ProcessState,
    /// Number of unexpected exits since the parent process started.
    pub crashes: u64,
    /// Cause of the latest unexpected exit, such as `killed by SIGSEGV`.
    pub last_crash: Option<String>,
    /// CPU variant of the kernels in use, such as `haswell`; `None` until it is known.
    pub variant: Option<String>,
}

/// State of a model's child process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// The process is loading the model.
    Starting,
    /// The process serves requests.
    Ready,
    /// The process has exited and is restarted after a delay.
    Restarting,
}

impl ProcessState {
    /// Returns the name in lower case.
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
    fn text_is_checked_against_the_schema() {
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
    fn ollama_model_names_ignore_case_and_the_tag_latest() {
        let ollama = ModelInfo::new("Org/Llama3:latest", "ollama");
        assert!(["Org/Llama3:latest", "Org/Llama3", "org/llama3"].iter().all(|name| ollama.is_called(name)));
        assert!(!ollama.is_called("Org/Llama3:8b") && !ollama.is_called("Llama3"));
        assert!(!ModelInfo::new("Llama3", "openai").is_called("llama3"));
    }
}
