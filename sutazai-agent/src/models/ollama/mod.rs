//! Models of an Ollama server through its native API (docs.ollama.com/api).
//!
//! It uses `/api/tags`, `/api/show`, `/api/chat`, `/api/generate`, `/api/embed` and `/api/pull`; streams have one JSON
//! document a line.
//!
//! Ollama silently truncates messages that exceed its context. Each request that might not fit therefore asks for a
//! context that is large enough ([`context`]), and a request that exceeds the model's largest context is an error.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_core::domain::{Constraint, Embeddings, FinishReason, GenerateRequest, ModelInfo};
use sutazai_core::ports::{ModelBackend, ModelStream, PullProgress, PullStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::answer::{self, Deadline, Piece};
use super::gbnf;
use super::http::{self, HttpClient};
use super::wire::{NdjsonDecoder, decode};
use context::{Context, ModelContext};

mod context;

/// Name of the backend and of its feature.
const NAME: &str = "ollama";

/// Maximum number of concurrent `/api/show` requests while models are listed.
const MAX_CONCURRENT_SHOWS: usize = 8;

/// Client of an Ollama server. It supports JSON Schemas, which are sent as `format`, but no grammars. A model may
/// violate the schema all the same, so a finished text is validated here again.
#[derive(Debug)]
pub struct OllamaModelBackend {
    http: HttpClient,
    /// Context sizes of the models, by model name.
    contexts: Mutex<BTreeMap<String, ModelContext>>,
}

impl OllamaModelBackend {
    /// Creates a client for the server at `base_url`, such as `http://127.0.0.1:11434`. Sends nothing.
    ///
    /// # Errors
    /// `InvalidInput` when `base_url` is not an HTTP address.
    pub fn new(base_url: &str) -> Result<Self> {
        Ok(Self { http: HttpClient::new(NAME, base_url, None)?, contexts: Mutex::default() })
    }

    /// Sets the longest silence of the server before a request fails; two minutes by default, since loading a large
    /// model counts as silence.
    #[must_use]
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.http.set_idle(idle);
        self
    }

    /// Lists the installed models, without their context sizes.
    async fn listed(&self) -> Result<Vec<ModelInfo>> {
        let tags: Tags = self.http.get("api/tags").await?;
        Ok(tags.models.unwrap_or_default().into_iter().map(Tag::into_info).collect())
    }

    /// Returns the model to request: `wanted`, or else the first one of the server.
    async fn model(&self, wanted: Option<String>) -> Result<String> {
        if let Some(model) = wanted {
            return Ok(model);
        }
        let first = self.listed().await?.into_iter().next();
        first.map(|model| model.name).ok_or_else(|| Error::new(ErrorKind::NotFound, "ollama has no model"))
    }

    /// Returns the context size of a model. A known one is cached; if the server does not report it, the next request
    /// asks again.
    async fn context(&self, model: &str) -> ModelContext {
        let known = self.contexts.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied();
        if let Some(known) = known {
            return known;
        }
        let Ok(shown) = self.http.post::<Value>("api/show", &json!({ "model": model })).await else {
            return ModelContext::default();
        };
        let context = ModelContext::of(&shown);
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner).insert(model.to_owned(), context);
        context
    }

    /// Lists the available models in the error when the requested model does not exist.
    async fn explain(&self, e: Error, model: &str) -> Error {
        if e.kind() != ErrorKind::NotFound {
            return e;
        }
        match self.listed().await {
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
        let with_context = |info: ModelInfo| async move {
            ModelInfo { context_length: self.context(&info.name).await.known(), ..info }
        };
        let listed = stream::iter(self.listed().await?).map(with_context);
        Ok(listed.buffered(MAX_CONCURRENT_SHOWS).collect().await)
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        let deadline = Deadline::of(&request);
        deadline
            .wait(async {
                let format = match &request.constraint {
                    None => None,
                    Some(Constraint::JsonSchema(schema)) => Some(schema),
                    Some(Constraint::Grammar(_)) => {
                        return Err(Error::unsupported("ollama supports no grammars"));
                    }
                    Some(Constraint::Text(_)) => {
                        return Err(Error::unsupported("ollama cannot measure texts"));
                    }
                };
                format.map_or(Ok(()), |schema| gbnf::check(NAME, schema))?;
                let model = self.model(request.model.clone()).await?;
                let context = match Context::default_fits(&request) {
                    true => None,
                    false => Some(self.context(&model).await.for_chat(&request)?),
                };
                let body = match self.http.stream("api/chat", &chat(&model, &request, format, context)).await
                {
                    Ok(body) => body,
                    Err(e) => return Err(self.explain(http::about_chat(e, format.is_some()), &model).await),
                };
                let lines = decode(body, NdjsonDecoder::<ChatLine>::default());
                let pieces = lines.flat_map(move |line| {
                    stream::iter(line.map_or_else(|e| vec![Err(e)], |line| line.into_pieces(context)))
                });
                Ok(answer::stream(pieces, &request, deadline, NAME, model))
            })
            .await?
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let model = self.model(model).await?;
        let mut body = json!({ "model": model, "input": texts, "truncate": false });
        if !Context::default_holds(texts) {
            body["options"] = json!({ "num_ctx": self.context(&model).await.for_texts(texts) });
        }
        match self.http.post::<EmbedAnswer>("api/embed", &body).await {
            Ok(answer) => Ok(Embeddings {
                backend: NAME.to_owned(),
                model,
                vectors: answer::vectors(NAME, answer.embeddings, texts.len())?,
                prompt_tokens: answer::count(answer.prompt_eval_count.as_ref()),
            }),
            Err(e) => Err(self.explain(http::about_texts(e), &model).await),
        }
    }

    /// Loads a model with a request to `/api/generate` without a prompt, which has no other effect.
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

/// Builds the body of `/api/chat`; `context` is set when the default context might be too small.
fn chat(model: &str, request: &GenerateRequest, format: Option<&Value>, context: Option<Context>) -> Value {
    let mut options = json!({ "num_predict": request.max_tokens });
    if let Some(Context { num_ctx, num_predict }) = context {
        options["num_ctx"] = num_ctx.into();
        options["num_predict"] = num_predict.into();
    }
    if let Some(temperature) = request.temperature {
        options["temperature"] = temperature.into();
    }
    if let Some(penalty) = request.repeat_penalty {
        options["repeat_penalty"] = penalty.into();
    }
    if !request.stop.is_empty() {
        options["stop"] = json!(request.stop);
    }
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

/// Ends the stream at the status `success`; a connection that closes before is an error.
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
    models: Option<Vec<Tag>>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    size: Option<Value>,
    details: Option<TagDetails>,
}

#[derive(Debug, Deserialize)]
struct TagDetails {
    parameter_size: Option<String>,
}

impl Tag {
    fn into_info(self) -> ModelInfo {
        let parameters = self.details.and_then(|details| parameters(&details.parameter_size?));
        let size_bytes = self.size.and_then(|size| size.as_u64());
        ModelInfo { size_bytes, parameters, ..ModelInfo::new(self.name, NAME) }
    }
}

/// Parses a parameter count such as `1.1B` or `134.52M`.
fn parameters(size: &str) -> Option<u64> {
    let number = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &size[number.len()..] {
        "K" => 1e3,
        "M" => 1e6,
        "B" => 1e9,
        "T" => 1e12,
        _ => return None,
    };
    // Rounded, because a count in tenths of a billion is not exact anyway.
    number.parse::<f64>().ok().map(|number| (number * unit).round() as u64)
}

#[derive(Debug, Deserialize)]
struct ChatLine {
    error: Option<Value>,
    message: Option<ChatText>,
    done: Option<bool>,
    done_reason: Option<String>,
    prompt_eval_count: Option<Value>,
    eval_count: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct ChatText {
    content: Option<String>,
    /// Reasoning, which some models send apart from the text.
    thinking: Option<String>,
}

impl ChatLine {
    /// Returns the pieces of one line; the last line may have text in addition to the end.
    fn into_pieces(mut self, context: Option<Context>) -> Vec<Result<Piece>> {
        if let Some(error) = self.error.take() {
            return vec![Err(http::broke_off(NAME, &error))];
        }
        let message = self.message.take();
        let (text, thinking) = message.map_or((None, None), |message| (message.content, message.thinking));
        let mut pieces: Vec<_> = text.map(|text| Ok(Piece::Text(text))).into_iter().collect();
        if thinking.is_some_and(|words| !words.is_empty()) {
            pieces.push(Ok(Piece::Reasoning));
        }
        if self.done == Some(true) {
            pieces.push(self.end(context));
        }
        pieces
    }

    fn end(&self, context: Option<Context>) -> Result<Piece> {
        let prompt_tokens = answer::count(self.prompt_eval_count.as_ref()).unwrap_or_default();
        if context.is_some_and(|context| prompt_tokens >= context.num_ctx) {
            return Err(Error::context_length(
                "messages",
                "ollama truncated the messages: they fill the model's context",
            ));
        }
        let finish_reason = match self.done_reason.as_deref() {
            // Older servers send no reason.
            None | Some("") => FinishReason::Stop,
            Some(reason) => answer::finish_reason(NAME, reason)?,
        };
        let completion_tokens = answer::count(self.eval_count.as_ref()).unwrap_or_default();
        Ok(Piece::End { prompt_tokens, completion_tokens, finish_reason })
    }
}

#[derive(Debug, Deserialize)]
struct EmbedAnswer {
    embeddings: Vec<Vec<f32>>,
    prompt_eval_count: Option<Value>,
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
            let error = http::without_addresses(&http::sentence(&error));
            // Ollama's wording for a model that its library does not have.
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

    fn pieces(line: &str, context: Option<Context>) -> Vec<Result<Piece>> {
        serde_json::from_str::<ChatLine>(line).unwrap().into_pieces(context)
    }

    #[test]
    fn last_line_may_have_text_and_invalid_counts() {
        let counted = r#""prompt_eval_count":null,"eval_count":"many","done_reason":"length""#;
        let last = pieces(&format!(r#"{{"message":{{"content":"lo"}},"done":true,{counted}}}"#), None);
        let [Ok(Piece::Text(text)), Ok(Piece::End { prompt_tokens: 0, completion_tokens: 0, finish_reason })] =
            &last[..]
        else {
            panic!("{last:?}")
        };
        assert_eq!((text.as_str(), *finish_reason), ("lo", FinishReason::Length));
        assert!(pieces(r#"{"message":{"content":null},"done":null}"#, None).is_empty());
        assert!(matches!(pieces(r#"{"message":{"thinking":"hm"}}"#, None)[..], [Ok(Piece::Reasoning)]));
    }

    #[test]
    fn incomplete_answer_is_an_error_with_its_reason() {
        let loaded = pieces(r#"{"message":{"content":""},"done":true,"done_reason":"load"}"#, None);
        assert!(loaded[1].as_ref().unwrap_err().message().contains("\"load\""));
        let full = Context { num_ctx: 4_096, num_predict: 1 };
        let cut = pieces(r#"{"done":true,"done_reason":"stop","prompt_eval_count":4096}"#, Some(full));
        assert_eq!(cut[0].as_ref().unwrap_err().kind(), ErrorKind::ContextLength);
    }

    #[test]
    fn parameter_sizes_are_parsed() {
        assert_eq!(parameters("1.1B"), Some(1_100_000_000));
        assert_eq!(parameters("134.52M"), Some(134_520_000));
        for unknown in ["", "B", "many", "7"] {
            assert_eq!(parameters(unknown), None, "{unknown}");
        }
    }
}
