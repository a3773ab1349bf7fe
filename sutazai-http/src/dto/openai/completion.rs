//! Chat completions as one response, and as chunks of a stream.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sutazai_core::domain::ModelUsage;
use utoipa::ToSchema;
use uuid::Uuid;

/// Completed answer of a chat.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatCompletion {
    id: String,
    object: &'static str,
    /// Unix time in seconds.
    created: i64,
    /// Name of the model that answered.
    model: String,
    choices: Vec<Choice>,
    usage: Usage,
    /// Reason why another backend or model than the first choice answered; absent when the first choice did. Not part
    /// of OpenAI's protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    degraded: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatCompletionChoice)]
struct Choice {
    index: u32,
    message: Message,
    logprobs: Option<()>,
    /// Reason why the answer ended: `stop`, `length` or `content_filter`.
    finish_reason: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChatCompletionMessage)]
struct Message {
    role: &'static str,
    /// Text of the answer; null when the model refused to answer.
    content: Option<String>,
    /// Text of the refusal; null otherwise.
    refusal: Option<String>,
}

/// Token counts of the request and the answer.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[schema(as = ChatCompletionUsage)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
}

impl ChatCompletion {
    pub(crate) fn new(text: String, usage: ModelUsage, now: DateTime<Utc>) -> Self {
        let content = Some(text).filter(|text| usage.refusal.is_none() || !text.is_empty());
        let message = Message { role: "assistant", content, refusal: usage.refusal.clone() };
        let finish_reason = usage.finish_reason.as_str();
        Self {
            id: id(),
            object: "chat.completion",
            created: now.timestamp(),
            usage: Usage::from(&usage),
            model: usage.model,
            choices: vec![Choice { index: 0, message, logprobs: None, finish_reason }],
            degraded: usage.degraded,
        }
    }
}

/// Fields that all chunks of one answer share.
#[derive(Debug)]
pub(crate) struct Chunks {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
}

#[derive(Debug, Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<ChunkChoice<'a>>,
    /// Null in all chunks but the last; absent unless the caller asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Debug, Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
}

impl Chunks {
    /// Creates the shared fields of an answer of this model.
    pub(crate) fn new(model: String, include_usage: bool, now: DateTime<Utc>) -> Self {
        Self { id: id(), created: now.timestamp(), model, include_usage }
    }

    /// Formats the first chunk, which has the role and no text.
    pub(crate) fn first(&self) -> String {
        self.choice(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, None, None)
    }

    /// Formats a chunk with more text.
    pub(crate) fn text(&self, text: &str) -> String {
        self.choice(Delta { content: Some(text), ..Delta::default() }, None, None)
    }

    /// Formats the last chunks: the text of a refusal, the end, and the token counts if they were requested.
    pub(crate) fn last(&self, usage: &ModelUsage) -> Vec<String> {
        let reason = usage.finish_reason.as_str();
        let end = self.choice(Delta::default(), Some(reason), usage.degraded.as_deref());
        let refusal = |words| self.choice(Delta { refusal: Some(words), ..Delta::default() }, None, None);
        let count = || self.chunk(vec![], Some(Some(Usage::from(usage))), None);
        let refusal = usage.refusal.as_deref().map(refusal);
        refusal.into_iter().chain([end]).chain(self.include_usage.then(count)).collect()
    }

    fn choice(
        &self,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        degraded: Option<&str>,
    ) -> String {
        let choice = ChunkChoice { index: 0, delta, logprobs: None, finish_reason };
        self.chunk(vec![choice], self.include_usage.then_some(None), degraded)
    }

    fn chunk(
        &self,
        choices: Vec<ChunkChoice<'_>>,
        usage: Option<Option<Usage>>,
        degraded: Option<&str>,
    ) -> String {
        let (id, model, object) = (&self.id, &self.model, "chat.completion.chunk");
        let chunk = Chunk { id, object, created: self.created, model, choices, usage, degraded };
        // Cannot fail: the chunk consists of strings and numbers only.
        serde_json::to_string(&chunk).unwrap_or_default()
    }
}

impl From<&ModelUsage> for Usage {
    fn from(usage: &ModelUsage) -> Self {
        let (prompt_tokens, completion_tokens) = (usage.prompt_tokens, usage.completion_tokens);
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens.saturating_add(completion_tokens),
        }
    }
}

fn id() -> String {
    format!("chatcmpl-{}", Uuid::now_v7().simple())
}
