//! Models of an Ollama server, by its native API (docs.ollama.com/api): `/api/tags`, `/api/chat`, `/api/generate`,
//! `/api/embed` and `/api/pull`, streamed as one JSON document a line.

use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_core::domain::{Constraint, Embeddings, FinishReason, GenerateRequest, ModelInfo};
use sutazai_core::ports::{ModelBackend, ModelStream, PullProgress, PullStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::answer::{self, Deadline, Piece};
use super::http::HttpClient;
use super::wire::{NdjsonDecoder, decode};

/// The name of the backend and of its feature.
const NAME: &str = "ollama";

/// A client of an Ollama server. JSON Schemas go to it as `format`; since a model may stray from it all the same, a
/// finished text is checked here again. It has no grammars.
#[derive(Debug)]
pub struct OllamaModelBackend {
    http: HttpClient,
}

impl OllamaModelBackend {
    /// The server at this address, such as `http://127.0.0.1:11434`. It is not asked anything yet.
    ///
    /// # Errors
    /// `InvalidInput` when this is no HTTP address.
    pub fn new(base_url: &str) -> Result<Self> {
        Ok(Self { http: HttpClient::new(NAME, base_url, None)? })
    }

    /// Takes a server that keeps silent for so long for stuck. Two minutes unless told otherwise: a large model takes
    /// its time to load.
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.http.set_idle(idle);
        self
    }

    /// The model to ask: the one that is wanted, or the server's first.
    async fn model(&self, wanted: Option<String>) -> Result<String> {
        if let Some(model) = wanted {
            return Ok(model);
        }
        let first = self.models().await?.into_iter().next();
        first.map(|model| model.name).ok_or_else(|| Error::new(ErrorKind::NotFound, "ollama has no model"))
    }

    /// A refusal, made clearer: one for want of a model says which there are.
    async fn explain(&self, e: Error, model: &str) -> Error {
        if e.kind() != ErrorKind::NotFound {
            return e;
        }
        match self.models().await {
            Ok(models) => super::specification::no_such_model(NAME, model, &models),
            Err(e) => e,
        }
    }
}

#[async_trait]
impl ModelBackend for OllamaModelBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn supports(&self, constraint: &Constraint) -> bool {
        matches!(constraint, Constraint::JsonSchema(_))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        let tags: Tags = self.http.get("api/tags").await?;
        Ok(tags.models.into_iter().map(Tag::into_info).collect())
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        let deadline = Deadline::of(&request);
        deadline
            .wait(async {
                let format = match &request.constraint {
                    None => None,
                    Some(Constraint::JsonSchema(schema)) => Some(schema),
                    Some(Constraint::Grammar(_)) => return Err(Error::unsupported("ollama has no grammars")),
                    Some(Constraint::Text(_)) => return Err(Error::unsupported("ollama measures no texts")),
                };
                let model = self.model(request.model.clone()).await?;
                let body = match self.http.stream("api/chat", &chat(&model, &request, format)).await {
                    Ok(body) => body,
                    Err(e) => return Err(self.explain(e, &model).await),
                };
                let pieces = decode(body, NdjsonDecoder::<ChatLine>::default());
                let pieces = pieces.map(|line| line.and_then(ChatLine::into_piece));
                Ok(answer::stream(pieces, &request, deadline, NAME, model))
            })
            .await?
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let model = self.model(model).await?;
        let body = json!({ "model": model, "input": texts });
        match self.http.post::<EmbedAnswer>("api/embed", &body).await {
            Ok(answer) if answer.embeddings.len() == texts.len() => Ok(Embeddings {
                backend: NAME.to_owned(),
                model,
                vectors: answer.embeddings,
                prompt_tokens: answer.prompt_eval_count,
            }),
            Ok(answer) => Err(Error::unavailable(format!(
                "ollama gave {} embeddings for {} texts",
                answer.embeddings.len(),
                texts.len()
            ))),
            Err(e) => Err(self.explain(e, &model).await),
        }
    }

    /// Ollama loads a model at its first request. One of `/api/generate` without a prompt is for nothing else.
    async fn load(&self, model: Option<String>) -> Result<()> {
        let model = self.model(model).await?;
        match self.http.post::<Loaded>("api/generate", &json!({ "model": model, "stream": false })).await {
            Ok(Loaded { done: true }) => Ok(()),
            Ok(Loaded { done: false }) => Err(Error::unavailable(format!("ollama did not load {model}"))),
            Err(e) => Err(self.explain(e, &model).await),
        }
    }

    async fn pull(&self, model: &str) -> Result<PullStream> {
        let body = self.http.stream("api/pull", &json!({ "model": model, "stream": true })).await?;
        let lines = decode(body, NdjsonDecoder::<PullLine>::default());
        let name = model.to_owned();
        Ok(until_success(lines.and_then(move |line| std::future::ready(line.into_progress(&name)))))
    }
}

/// The body of `/api/chat`.
fn chat(model: &str, request: &GenerateRequest, format: Option<&Value>) -> Value {
    let mut options = json!({
        "num_predict": request.max_tokens,
        "temperature": request.temperature,
        "repeat_penalty": request.repeat_penalty,
        "stop": request.stop,
    });
    if let Some(seed) = request.seed {
        options["seed"] = seed.into();
    }
    if let Some(top_p) = request.top_p {
        options["top_p"] = top_p.into();
    }
    let mut body =
        json!({ "model": model, "messages": request.messages, "stream": true, "options": options });
    if let Some(schema) = format {
        body["format"] = schema.clone();
    }
    body
}

/// A pull is over when the server says so, not when it falls silent.
fn until_success(steps: impl Stream<Item = Result<PullProgress>> + Send + 'static) -> PullStream {
    stream::unfold(Some(Box::pin(steps)), |steps| async {
        let mut steps = steps?;
        match steps.next().await {
            Some(Ok(step)) if step.status == "success" => Some((Ok(step), None)),
            Some(Ok(step)) => Some((Ok(step), Some(steps))),
            Some(Err(e)) => Some((Err(e), None)),
            None => {
                Some((Err(Error::unavailable("ollama closed the connection before the pull was done")), None))
            }
        }
    })
    .boxed()
}

#[derive(Debug, Deserialize)]
struct Tags {
    models: Vec<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    size: Option<u64>,
    details: Option<TagDetails>,
}

#[derive(Debug, Deserialize)]
struct TagDetails {
    parameter_size: Option<String>,
}

impl Tag {
    fn into_info(self) -> ModelInfo {
        let parameters = self.details.and_then(|details| parameters(&details.parameter_size?));
        ModelInfo {
            name: self.name,
            backend: NAME.into(),
            size_bytes: self.size,
            parameters,
            context_length: None,
            digest: None,
            process: None,
        }
    }
}

/// How many parameters `1.1B` or `134.52M` are.
fn parameters(size: &str) -> Option<u64> {
    let number = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &size[number.len()..] {
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    // Rounded: what is written in tenths of a billion is no exact number anyway.
    number.parse::<f64>().ok().map(|number| (number * unit).round() as u64)
}

#[derive(Debug, Deserialize)]
struct ChatLine {
    error: Option<Value>,
    message: Option<ChatText>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u32>,
    eval_count: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct ChatText {
    content: String,
}

impl ChatLine {
    fn into_piece(self) -> Result<Piece> {
        if let Some(error) = self.error {
            return Err(Error::unavailable("ollama broke off").with_detail(super::http::sentence(&error)));
        }
        if !self.done {
            return Ok(Piece::Text(self.message.map(|message| message.content).unwrap_or_default()));
        }
        let length = self.done_reason.as_deref() == Some("length");
        Ok(Piece::End {
            prompt_tokens: self.prompt_eval_count.unwrap_or_default(),
            completion_tokens: self.eval_count.unwrap_or_default(),
            finish_reason: if length { FinishReason::Length } else { FinishReason::Stop },
        })
    }
}

#[derive(Debug, Deserialize)]
struct EmbedAnswer {
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Loaded {
    done: bool,
}

#[derive(Debug, Deserialize)]
struct PullLine {
    error: Option<Value>,
    status: Option<String>,
    completed: Option<u64>,
    total: Option<u64>,
}

impl PullLine {
    fn into_progress(self, model: &str) -> Result<PullProgress> {
        if let Some(error) = self.error {
            let error = super::http::sentence(&error);
            // The words for a manifest that the library does not have.
            let kind = if error.contains("file does not exist") {
                ErrorKind::NotFound
            } else {
                ErrorKind::Unavailable
            };
            return Err(Error::new(kind, format!("ollama cannot pull {model}: {error}")));
        }
        let status = self.status.unwrap_or_default();
        Ok(PullProgress { status, completed_bytes: self.completed, total_bytes: self.total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sizes_are_read() {
        assert_eq!(parameters("1.1B"), Some(1_100_000_000));
        assert_eq!(parameters("134.52M"), Some(134_520_000));
        for unknown in ["", "B", "many", "7"] {
            assert_eq!(parameters(unknown), None, "{unknown}");
        }
    }
}
