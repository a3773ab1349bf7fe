//! Requests to the models of a server, over its OpenAI-compatible API.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::domain::{ChatMessage, Constraint, EventKind, GenerateRequest, TaskEvent, TaskId, TaskStatus};
use sutazai::external::futures::{StreamExt, stream};
use sutazai::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::errors::{ProtocolError, unexpected};
use super::events::Follower;
use super::http::Http;
use super::request::Request;
use super::sse::SseReader;
use super::{Remote, items};
use crate::local::seconds;
use crate::stream::Items;
use crate::verbs::{Answer, answer};

/// Time for which the list of models is kept, of which each request needs the default and the backends.
const MODELS_TTL: Duration = Duration::from_secs(30);

pub(super) async fn list(http: &Http) -> Answer {
    items(http, &Request::get("api/v1/models")).await
}

/// Model of a server.
#[derive(Debug, Clone, Deserialize)]
struct Model {
    name: String,
    backend: String,
    purpose: Option<String>,
    default: bool,
}

#[derive(Debug, Deserialize)]
struct ModelList {
    items: Vec<Model>,
}

/// Models of the server as they were listed last.
#[derive(Debug, Default)]
pub(super) struct KnownModels {
    listed: Mutex<Option<(Instant, Vec<Model>)>>,
}

impl KnownModels {
    async fn get(&self, http: &Http) -> Result<Vec<Model>> {
        let mut listed = self.listed.lock().await;
        if let Some((at, models)) = &*listed
            && at.elapsed() < MODELS_TTL
        {
            return Ok(models.clone());
        }
        let models = http.data::<ModelList>(&Request::get("api/v1/models")).await?.items;
        *listed = Some((Instant::now(), models.clone()));
        Ok(models)
    }

    /// Returns the model for a request which names none: the default one, or the first that is wanted.
    async fn choice(&self, http: &Http, is_wanted: impl Fn(&Model) -> bool) -> Result<String> {
        let models = self.get(http).await?;
        let default = models.iter().find(|model| model.default);
        let found = models.iter().find(|model| is_wanted(model)).or(default).or(models.first());
        found.map(|model| model.name.clone()).ok_or_else(|| Error::unavailable("the server has no model"))
    }

    /// Returns the backend of a model.
    async fn backend_of(&self, http: &Http, name: &str) -> String {
        let models = self.get(http).await.unwrap_or_default();
        models.into_iter().find(|model| model.name == name).map(|model| model.backend).unwrap_or_default()
    }
}

/// Request for a text; what is left out has the defaults of the engine.
#[derive(Debug, Deserialize)]
pub(super) struct Generate {
    messages: Vec<ChatMessage>,
    constraint: Option<Constraint>,
    model: Option<String>,
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    repeat_penalty: Option<f32>,
    seed: Option<i64>,
    #[serde(default)]
    stop: Vec<String>,
    timeout: Option<f64>,
}

impl Generate {
    /// Writes the request to the API.
    ///
    /// # Errors
    /// `Unsupported` naming an option that the API does not have.
    async fn request(self, remote: &Remote, is_stream: bool) -> Result<Request> {
        let usual = GenerateRequest::new(self.messages);
        if self.repeat_penalty.is_some() {
            return Err(Error::unsupported("a server takes no repeat penalty").with_field("repeat_penalty"));
        }
        let response_format = match self.constraint {
            None => Value::Null,
            Some(Constraint::JsonSchema(schema)) => {
                let schema = json!({ "name": "output", "strict": true, "schema": schema });
                json!({ "type": "json_schema", "json_schema": schema })
            }
            Some(_) => return Err(Error::unsupported("a server takes no grammar").with_field("grammar")),
        };
        let model = match self.model {
            Some(model) => model,
            None => remote.models.choice(&remote.http, |model| model.default).await?,
        };
        let mut body = json!({
            "model": model,
            "messages": usual.messages,
            "max_tokens": self.max_tokens.unwrap_or(usual.max_tokens),
            "temperature": self.temperature.or(usual.temperature),
            "top_p": self.top_p,
            "seed": self.seed,
            "stop": self.stop,
            "response_format": response_format,
            "stream": is_stream,
        });
        if is_stream {
            body["stream_options"] = json!({ "include_usage": true });
        }
        Ok(Request::post("v1/chat/completions").json(&body)?.unlimited())
    }
}

/// Answer of a model.
#[derive(Debug, Deserialize)]
struct Completion {
    model: String,
    choices: Vec<Choice>,
    usage: Counts,
    degraded: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Message,
    finish_reason: String,
}

#[derive(Debug, Deserialize)]
struct Message {
    content: Option<String>,
    refusal: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Counts {
    prompt_tokens: u32,
    completion_tokens: u32,
}

/// Model and token counts of an answer, as Python reads them.
#[derive(Debug, Default)]
struct Usage {
    model: String,
    counts: Option<Counts>,
    finish_reason: String,
    refusal: Option<String>,
    degraded: Option<String>,
}

impl Usage {
    fn json(self, backend: String) -> Value {
        json!({
            "backend": backend,
            "model": self.model,
            "prompt_tokens": self.counts.as_ref().map_or(0, |counts| counts.prompt_tokens),
            "completion_tokens": self.counts.as_ref().map_or(0, |counts| counts.completion_tokens),
            "finish_reason": self.finish_reason,
            "refusal": self.refusal,
            "degraded": self.degraded,
        })
    }
}

pub(super) async fn complete(remote: &Remote, body: Generate) -> Answer {
    let (has_constraint, timeout) = (body.constraint.is_some(), body.timeout.map(seconds).transpose()?);
    let request = body.request(remote, false).await?;
    let answered = remote.http.plain::<Completion>(&request);
    let completion = match timeout {
        Some(limit) => {
            let late = |_| Err(Error::timeout(format!("the model did not answer within {limit:?}")));
            tokio::time::timeout(limit, answered).await.unwrap_or_else(late)
        }
        None => answered.await,
    };
    let completion = completion.map_err(|e| match (e.kind(), e.field()) {
        // An answer that was cut is no value of the type, as with an engine.
        (ErrorKind::InvalidInput, Some("max_tokens")) if has_constraint => Error::misfit(e.message()),
        _ => e,
    })?;
    let nothing = || Error::unavailable("expected an answer of the model from the server");
    let choice = completion.choices.into_iter().next().ok_or_else(nothing)?;
    let backend = remote.models.backend_of(&remote.http, &completion.model).await;
    let usage = Usage {
        model: completion.model,
        counts: Some(completion.usage),
        finish_reason: choice.finish_reason,
        refusal: choice.message.refusal,
        degraded: completion.degraded,
    };
    answer(&json!({ "text": choice.message.content.unwrap_or_default(), "usage": usage.json(backend) }))
}

/// Chunk of a streamed answer.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Chunk {
    Failed { error: ProtocolError },
    Part(Part),
}

#[derive(Debug, Deserialize)]
struct Part {
    model: String,
    choices: Vec<PartChoice>,
    usage: Option<Counts>,
    degraded: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PartChoice {
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Delta {
    content: Option<String>,
    refusal: Option<String>,
}

/// Reader of a streamed answer.
struct AnswerReader {
    reader: SseReader,
    usage: Usage,
}

impl AnswerReader {
    /// Returns the next piece of text; `None` at the end.
    async fn next(&mut self) -> Result<Option<String>> {
        loop {
            let Some(event) = self.reader.next().await? else {
                return Err(Error::unavailable("the server broke off the answer of the model"));
            };
            if event.data == "[DONE]" {
                return Ok(None);
            }
            let part = match serde_json::from_str(&event.data).map_err(unexpected)? {
                Chunk::Failed { error } => return Err(error.into()),
                Chunk::Part(part) => part,
            };
            self.usage.model = part.model;
            self.usage.counts = part.usage.or(self.usage.counts.take());
            self.usage.degraded = part.degraded.or(self.usage.degraded.take());
            let Some(choice) = part.choices.into_iter().next() else { continue };
            if let Some(reason) = choice.finish_reason {
                self.usage.finish_reason = reason;
            }
            self.usage.refusal = choice.delta.refusal.or(self.usage.refusal.take());
            if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
                return Ok(Some(text));
            }
        }
    }
}

/// Opens the answer to a request: pieces of text, then the usage.
pub(super) async fn open(remote: &Remote, body: Generate) -> Result<Items> {
    let request = body.request(remote, true).await?;
    let reader = remote.http.events(&request).await?;
    let backends: Vec<(String, String)> = {
        let models = remote.models.get(&remote.http).await.unwrap_or_default();
        models.into_iter().map(|model| (model.name, model.backend)).collect()
    };
    let reader = reader.map(|reader| (AnswerReader { reader, usage: Usage::default() }, backends));
    let items = stream::unfold(reader, |state| async move {
        let (mut reader, backends) = state?;
        match reader.next().await {
            Ok(Some(text)) => Some((Ok(json!({ "text": text })), Some((reader, backends)))),
            Ok(None) => {
                let backend = backends.into_iter().find(|(name, _)| *name == reader.usage.model);
                let usage = reader.usage.json(backend.map(|(_, backend)| backend).unwrap_or_default());
                Some((Ok(json!({ "usage": usage })), None))
            }
            Err(e) => Some((Err(e), None)),
        }
    });
    Ok(items.boxed())
}

#[derive(Debug, Deserialize)]
pub(super) struct Embed {
    texts: Vec<String>,
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
struct EmbeddingList {
    model: String,
    data: Vec<Embedding>,
    usage: EmbeddingUsage,
}

#[derive(Debug, Deserialize)]
struct Embedding {
    embedding: String,
}

#[derive(Debug, Deserialize)]
struct EmbeddingUsage {
    prompt_tokens: u32,
}

/// Computes embeddings: a line of JSON, and behind it the vectors, one after another, as little-endian `f32`.
pub(super) async fn embed(remote: &Remote, body: Embed) -> Answer {
    let model = match body.model {
        Some(model) => model,
        None => {
            let is_for_texts = |model: &Model| model.purpose.as_deref() == Some("embed");
            remote.models.choice(&remote.http, is_for_texts).await?
        }
    };
    let wanted = json!({ "model": model, "input": body.texts, "encoding_format": "base64" });
    let request = Request::post("v1/embeddings").json(&wanted)?.unlimited();
    let made: EmbeddingList = remote.http.plain(&request).await?;
    let broken = |_| Error::unavailable("expected vectors in base64 from the server");
    let vectors: Vec<Vec<u8>> =
        made.data.iter().map(|one| STANDARD.decode(&one.embedding).map_err(broken)).collect::<Result<_>>()?;
    let mut bytes = answer(&json!({
        "backend": remote.models.backend_of(&remote.http, &made.model).await,
        "model": made.model,
        // The server says 0 if the backend does not report it.
        "prompt_tokens": Some(made.usage.prompt_tokens).filter(|count| *count > 0),
        "dimensions": vectors.first().map_or(0, |vector| vector.len() / size_of::<f32>()),
    }))?;
    bytes.push(b'\n');
    bytes.extend(vectors.into_iter().flatten());
    Ok(bytes)
}

#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    model: String,
}

/// Task that the server has accepted.
#[derive(Debug, Deserialize)]
struct Accepted {
    id: TaskId,
}

/// Downloads a model in a task of the server and reports its progress, without the numbers of bytes.
pub(super) async fn pull(http: &Http, body: Pull) -> Result<Items> {
    let pull: sutazai_bodies::model::PullModel = serde_json::from_value(json!({ "model": body.model }))
        .map_err(|e| Error::invalid("model", e.to_string()))?;
    let task: Accepted = http.data(&Request::post("api/v1/models/pull").json(&pull)?).await?;
    let follower = Follower::new(http.clone(), task.id);
    let items = stream::unfold(Some(follower), |follower| async move {
        let mut follower = follower?;
        match progress(&mut follower).await {
            Ok(Some(item)) => Some((Ok(item), Some(follower))),
            Ok(None) => None,
            Err(e) => Some((Err(e), None)),
        }
    });
    Ok(items.boxed())
}

/// Returns the next progress of a download; `None` when it has succeeded.
async fn progress(follower: &mut Follower) -> Result<Option<Value>> {
    while let Some(event) = follower.next().await? {
        let Ok(event) = serde_json::from_value::<TaskEvent>(event) else { continue };
        match event.kind {
            EventKind::Progress { message, .. } => return Ok(Some(json!({ "status": message }))),
            EventKind::Status { status: TaskStatus::Failed, error, .. } => {
                let error = error.map(|error| Error::new(error.kind, error.message));
                return Err(error.unwrap_or_else(|| Error::unavailable("the download failed")));
            }
            EventKind::Status { status: TaskStatus::Cancelled, .. } => {
                return Err(Error::cancelled("the download was cancelled"));
            }
            _ => {}
        }
    }
    Ok(None)
}
