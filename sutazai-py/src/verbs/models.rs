//! Requests to models, of the program itself and of running agents.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::domain::{ChatMessage, Constraint, GenerateRequest, ModelEvent, Permission, UserId};
use sutazai::external::CancellationToken;
use sutazai::external::futures::{StreamExt, TryStreamExt, future, stream};
use sutazai::ports::{ModelBackend, ModelBackendExt, PullProgress};
use sutazai::{Error, Result};

use super::{Answer, answer, nothing};
use crate::local::{Local, seconds};
use crate::stream::Items;

/// Model backend of a request, and what ends the request.
struct Model {
    backend: Arc<dyn ModelBackend>,
    /// Cancelled when the agent that makes the request is to stop.
    stop: CancellationToken,
    prefix_owner: Option<UserId>,
}

impl Model {
    /// Returns the model for a running agent, or for the program itself.
    ///
    /// # Errors
    /// `Unavailable` without a model backend; `Conflict` if the agent has ended.
    fn of(local: &Local, call: Option<u64>) -> Result<Self> {
        let none = || Error::unavailable("no model backend is configured").with_field("MODEL_BACKENDS");
        if let Some(number) = call {
            let call = local.running.get(number)?;
            let backend = call.context.model.clone().ok_or_else(none)?;
            let (stop, prefix_owner) = (call.context.cancellation.clone(), call.context.task.owner);
            return Ok(Self { backend, stop, prefix_owner });
        }
        let backend = local.engine().model_for(&local.caller).ok_or_else(none)?;
        Ok(Self { backend, stop: CancellationToken::new(), prefix_owner: local.caller.owner() })
    }

    async fn unless_stopped<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        self.stop.run_until_cancelled(request).await.unwrap_or_else(|| Err(stopped()))
    }
}

pub(super) async fn list(local: &Local) -> Answer {
    answer(&Model::of(local, None)?.backend.models().await?)
}

#[derive(Debug, Deserialize)]
pub(super) struct Load {
    model: Option<String>,
}

pub(super) async fn load(local: &Local, body: Load) -> Answer {
    local.engine().require(&local.caller, Permission::Administer)?;
    Model::of(local, None)?.backend.load(body.model).await?;
    nothing()
}

/// Request for a text; what is left out has the defaults of the engine.
#[derive(Debug, Deserialize)]
pub(super) struct Generate {
    call: Option<u64>,
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
    fn request(self, prefix_owner: Option<UserId>) -> Result<GenerateRequest> {
        if self.max_tokens == Some(0) {
            return Err(Error::invalid("max_tokens", "expected at least 1, got 0"));
        }
        let usual = GenerateRequest::new(self.messages);
        let request = GenerateRequest {
            model: self.model,
            max_tokens: self.max_tokens.unwrap_or(usual.max_tokens),
            temperature: self.temperature.or(usual.temperature),
            top_p: self.top_p,
            repeat_penalty: self.repeat_penalty.or(usual.repeat_penalty),
            seed: self.seed,
            stop: self.stop,
            constraint: self.constraint,
            timeout: self.timeout.map(seconds).transpose()?,
            prefix_owner,
            ..usual
        };
        request.constraint.as_ref().map_or(Ok(()), Constraint::check_schema)?;
        Ok(request)
    }
}

pub(super) async fn complete(local: &Local, body: Generate) -> Answer {
    let model = Model::of(local, body.call)?;
    let request = body.request(model.prefix_owner)?;
    let (text, usage) = model.unless_stopped(model.backend.complete(request)).await?;
    answer(&json!({ "text": text, "usage": usage }))
}

/// Opens the answer to a request: pieces of text, then the usage.
pub(super) async fn open(local: &Local, body: Generate) -> Result<Items> {
    let model = Model::of(local, body.call)?;
    let request = body.request(model.prefix_owner)?;
    let events = model.unless_stopped(model.backend.generate(request)).await?;
    let stop = model.stop;
    let until = stop.clone().cancelled_owned();
    let stopped = stream::once(async move { stop.is_cancelled().then(|| Err(stopped())) });
    let items = events.map_ok(item).take_until(until);
    Ok(items.chain(stopped.filter_map(future::ready)).boxed())
}

fn item(event: ModelEvent) -> Value {
    match event {
        ModelEvent::Text(text) => json!({ "text": text }),
        ModelEvent::Done(usage) => json!({ "usage": usage }),
    }
}

fn stopped() -> Error {
    Error::cancelled("the task was asked to stop")
}

#[derive(Debug, Deserialize)]
pub(super) struct Embed {
    call: Option<u64>,
    texts: Vec<String>,
    model: Option<String>,
}

/// Computes embeddings: a line of JSON, and behind it the vectors, one after another, as little-endian `f32`.
pub(super) async fn embed(local: &Local, body: Embed) -> Answer {
    let model = Model::of(local, body.call)?;
    let embeddings = model.unless_stopped(model.backend.embed(body.model, &body.texts)).await?;
    let dimensions = embeddings.vectors.first().map_or(0, Vec::len);
    let mut bytes = answer(&json!({
        "backend": embeddings.backend,
        "model": embeddings.model,
        "prompt_tokens": embeddings.prompt_tokens,
        "dimensions": dimensions,
    }))?;
    bytes.push(b'\n');
    bytes.extend(embeddings.vectors.iter().flatten().flat_map(|value| value.to_le_bytes()));
    Ok(bytes)
}

#[derive(Debug, Deserialize)]
pub(super) struct Pull {
    model: String,
}

pub(super) async fn pull(local: &Local, body: Pull) -> Result<Items> {
    local.engine().require(&local.caller, Permission::Administer)?;
    let progress = Model::of(local, None)?.backend.pull(&body.model).await?;
    let view = |progress: PullProgress| {
        json!({
            "status": progress.status,
            "completed_bytes": progress.completed_bytes,
            "total_bytes": progress.total_bytes,
        })
    };
    Ok(progress.map_ok(view).boxed())
}
