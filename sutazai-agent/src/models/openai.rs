//! Models of any server that speaks OpenAI's API (platform.openai.com/docs/api-reference), such as llama.cpp's
//! `llama-server`, vLLM or LM Studio.
//!
//! It uses `/models`, `/chat/completions` streamed as server-sent events, and `/embeddings`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_core::domain::{Constraint, Embeddings, FinishReason, GenerateRequest, ModelInfo};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::answer::{self, Deadline, Piece};
use super::gbnf;
use super::http::{self, HttpClient};
use super::wire::{SseDecoder, decode, read_json};

/// Name of the backend and of its feature.
const NAME: &str = "openai";

/// Time limit for the token counts, or the end of the stream, once the finish reason of an answer has been received.
const TRAILER_TIMEOUT: Duration = Duration::from_secs(2);

/// Client of an OpenAI-compatible server. It supports JSON Schemas, which are sent as `response_format`, but no
/// grammars. Not every such server enforces the schema, so a finished text is validated here again.
#[derive(Debug)]
pub struct OpenAiModelBackend {
    http: HttpClient,
    /// Models that the server has listed. Some servers answer to any model name with the one model they have, so that
    /// only the list reveals which models exist.
    listed: Mutex<BTreeSet<String>>,
    /// Indicates that the last listing identified the server as a `llama-server`.
    is_llama_server: AtomicBool,
}

impl OpenAiModelBackend {
    /// Creates a client for the server at `base_url`, such as `http://127.0.0.1:8080/v1`, with an optional bearer key.
    /// Sends nothing.
    ///
    /// # Errors
    /// `InvalidInput` when `base_url` is not an HTTP address or the key does not fit into a header.
    pub fn new(base_url: &str, api_key: Option<&str>) -> Result<Self> {
        Ok(Self {
            http: HttpClient::new(NAME, base_url, api_key)?,
            listed: Mutex::default(),
            is_llama_server: AtomicBool::new(false),
        })
    }

    /// Sets the longest silence of the server before a request fails; two minutes by default.
    #[must_use]
    pub fn idle_timeout(mut self, idle: Duration) -> Self {
        self.http.set_idle(idle);
        self
    }

    /// Returns the model to request: `wanted` if the server lists it, or the first one of the server.
    async fn model(&self, wanted: Option<String>) -> Result<String> {
        if let Some(model) = wanted.as_ref().filter(|model| self.is_listed(model)) {
            return Ok(model.clone());
        }
        let models = self.models().await?;
        match wanted {
            None => models
                .into_iter()
                .next()
                .map(|model| model.name)
                .ok_or_else(|| Error::new(ErrorKind::NotFound, "the openai server has no model")),
            Some(model) if self.is_listed(&model) => Ok(model),
            Some(model) => Err(super::specification::no_such_model(NAME, &model, &models)),
        }
    }

    /// Returns the context size of one conversation in tokens, which `llama-server` reports in addition to OpenAI's
    /// API.
    async fn context_of_llama_server(&self) -> Option<u32> {
        let properties: Value = self.http.get("../props").await.ok()?;
        answer::count(properties.pointer("/default_generation_settings/n_ctx"))
    }

    fn is_listed(&self, model: &str) -> bool {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).contains(model)
    }
}

#[async_trait]
impl ModelBackend for OpenAiModelBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn supports(&self, constraint: &Constraint) -> bool {
        matches!(constraint, Constraint::JsonSchema(_))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        let list: ModelList = self.http.get("models").await?;
        let list = list.data.unwrap_or_default();
        let llama_server = list.iter().any(|model| model.meta.is_some());
        self.is_llama_server.store(llama_server, Ordering::Relaxed);
        let context = if llama_server { self.context_of_llama_server().await } else { None };
        let models: Vec<_> = list.into_iter().map(|model| model.into_info(context)).collect();
        let names = models.iter().map(|model| model.name.clone()).collect();
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = names;
        Ok(models)
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        let deadline = Deadline::of(&request);
        deadline
            .wait(async {
                let schema = match &request.constraint {
                    None => None,
                    Some(Constraint::JsonSchema(schema)) => Some(schema),
                    Some(Constraint::Grammar(_)) => {
                        return Err(Error::unsupported("openai supports no grammars"));
                    }
                    Some(Constraint::Text(_)) => {
                        return Err(Error::unsupported("openai cannot measure texts"));
                    }
                };
                let model = self.model(request.model.clone()).await?;
                if let Some(schema) = schema.filter(|_| self.is_llama_server.load(Ordering::Relaxed)) {
                    gbnf::check("llama-server", schema)?;
                }
                let sent = self.http.stream("chat/completions", &chat(&model, &request, schema)).await;
                let body = sent.map_err(|e| http::about_chat(e, schema.is_some()))?;
                let pieces = pieces(decode(body, SseDecoder::default()));
                Ok(answer::stream(pieces, &request, deadline, NAME, model))
            })
            .await?
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let model = self.model(model).await?;
        let answer = self.http.post("embeddings", &json!({ "model": model, "input": texts })).await;
        let mut answer: EmbedAnswer = answer.map_err(http::about_texts)?;
        // Some servers number the embeddings and may return them in any order; each text must have exactly one.
        if answer.data.iter().any(|embedding| embedding.index.is_some()) {
            answer.data.sort_by_key(|embedding| embedding.index);
            let expected = (0..answer.data.len()).map(Some);
            if !answer.data.iter().map(|embedding| embedding.index).eq(expected) {
                return Err(Error::unavailable(
                    "openai returned embeddings that are not numbered from 0 without gaps",
                ));
            }
        }
        let vectors = answer.data.into_iter().map(|embedding| embedding.embedding).collect();
        Ok(Embeddings {
            backend: NAME.to_owned(),
            model,
            vectors: answer::vectors(NAME, vectors, texts.len())?,
            prompt_tokens: answer::count(answer.usage.as_ref().and_then(|usage| usage.get("prompt_tokens"))),
        })
    }
}

/// Builds the body of `/chat/completions` from the parameters that the request sets, by their current names.
///
/// Servers reject parameters that they do not know or no longer know. The protocol has no repeat penalty.
fn chat(model: &str, request: &GenerateRequest, schema: Option<&Value>) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages,
        "max_completion_tokens": request.max_tokens,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if let Some(temperature) = request.temperature {
        body["temperature"] = temperature.into();
    }
    if let Some(seed) = request.seed {
        body["seed"] = seed.into();
    }
    if let Some(top_p) = request.top_p {
        body["top_p"] = top_p.into();
    }
    if !request.stop.is_empty() {
        body["stop"] = json!(request.stop);
    }
    if let Some(schema) = schema {
        body["response_format"] = json!({
            "type": "json_schema",
            "json_schema": { "name": "answer", "strict": true, "schema": schema },
        });
    }
    body
}

/// Decodes the events of one answer. An answer with a finish reason is complete, even if the rest is lost or invalid.
fn pieces(
    events: impl Stream<Item = Result<String>> + Send + 'static,
) -> impl Stream<Item = Result<Piece>> + Send + 'static {
    let state = Some((Box::pin(events), ChunkReader::default()));
    stream::unfold(state, |state| async {
        let (mut events, mut reader) = state?;
        let next = match reader.finish_reason {
            Some(_) => tokio::time::timeout(TRAILER_TIMEOUT, events.next()).await.unwrap_or_default(),
            None => events.next().await,
        };
        let (read, more) = match next {
            Some(event) => (event.and_then(|data| reader.read(&data)), true),
            None if reader.finish_reason.is_some() => (Ok(vec![reader.end()]), false),
            None => return None,
        };
        match (read, reader.finish_reason) {
            (Ok(pieces), _) => Some((pieces, more.then_some((events, reader)))),
            (Err(_), Some(_)) => Some((vec![reader.end()], None)),
            (Err(e), None) => Some((vec![Err(e)], None)),
        }
    })
    .flat_map(stream::iter)
}

/// Reader of the chunks of one answer.
///
/// The finish reason and the usage may come in one chunk (`llama-server`) or in two (OpenAI). For servers that report
/// no usage, text chunks are counted, each of which is about one token.
#[derive(Debug, Default)]
struct ChunkReader {
    pieces: u32,
    finish_reason: Option<FinishReason>,
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
}

impl ChunkReader {
    /// Decodes the data of one event.
    fn read(&mut self, data: &str) -> Result<Vec<Result<Piece>>> {
        match data.trim() {
            "" => return Ok(Vec::new()),
            "[DONE]" => return Ok(vec![self.end()]),
            _ => {}
        }
        let chunk: Chunk = read_json(data.as_bytes(), "openai sent a chunk that violates its protocol")?;
        if let Some(error) = chunk.error.or(chunk.message.filter(|_| chunk.object == Some("error".into()))) {
            return Err(http::broke_off(NAME, &error));
        }
        if let Some(usage) = chunk.usage {
            self.prompt_tokens = answer::count(usage.get("prompt_tokens")).or(self.prompt_tokens);
            self.completion_tokens = answer::count(usage.get("completion_tokens")).or(self.completion_tokens);
        }
        let Some(choice) = chunk.choices.unwrap_or_default().into_iter().next() else {
            return Ok(Vec::new());
        };
        let delta = choice.delta.unwrap_or_default();
        let mut pieces = Vec::new();
        if let Some(text) = delta.content.map(Content::text).filter(|text| !text.is_empty()) {
            self.pieces += 1;
            pieces.push(Ok(Piece::Text(text)));
        }
        pieces.extend(delta.refusal.map(|words| Ok(Piece::Refusal(words))));
        let reasoning = [delta.reasoning_content, delta.reasoning].into_iter().flatten();
        pieces.extend(reasoning.filter(|words| !words.is_empty()).map(|_| Ok(Piece::Reasoning)));
        // Some servers send an empty reason until the answer ends.
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            match answer::finish_reason(NAME, &reason) {
                Ok(reason) => self.finish_reason = Some(reason),
                Err(e) => pieces.push(Err(e)),
            }
        }
        Ok(pieces)
    }

    /// Returns the end of the answer; an error unless a finish reason has been received.
    fn end(&mut self) -> Result<Piece> {
        let finish_reason = self
            .finish_reason
            .take()
            .ok_or_else(|| Error::unavailable("openai ended its answer without a reason"))?;
        Ok(Piece::End {
            prompt_tokens: self.prompt_tokens.unwrap_or_default(),
            completion_tokens: self.completion_tokens.unwrap_or(self.pieces),
            finish_reason,
        })
    }
}

#[derive(Debug, Deserialize)]
struct ModelList {
    data: Option<Vec<Model>>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    /// Metadata that only `llama-server` adds.
    meta: Option<ModelMeta>,
    /// Context size of one conversation, which only vLLM adds.
    max_model_len: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
struct ModelMeta {
    size: Option<u64>,
    n_params: Option<u64>,
}

impl Model {
    /// Converts the entry, with the context that the server grants one conversation. The context that the model was
    /// trained on says nothing about that.
    fn into_info(self, context: Option<u32>) -> ModelInfo {
        let meta = self.meta.unwrap_or_default();
        ModelInfo {
            size_bytes: meta.size,
            parameters: meta.n_params,
            context_length: answer::count(self.max_model_len.as_ref()).or(context),
            ..ModelInfo::new(self.id, NAME)
        }
    }
}

#[derive(Debug, Deserialize)]
struct Chunk {
    object: Option<Value>,
    error: Option<Value>,
    /// Error text of servers that mark an error with `"object": "error"`.
    message: Option<Value>,
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<Content>,
    refusal: Option<String>,
    reasoning_content: Option<String>,
    reasoning: Option<String>,
}

/// Text of a message, whole or in parts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Whole(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    /// Missing in a part that is not text.
    text: Option<String>,
}

impl Content {
    fn text(self) -> String {
        match self {
            Self::Whole(text) => text,
            Self::Parts(parts) => parts.into_iter().filter_map(|part| part.text).collect(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct EmbedAnswer {
    data: Vec<Embedding>,
    usage: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Embedding {
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    /// Decodes an answer of these events, after which the connection is closed.
    async fn read(events: &[&str]) -> Vec<Result<Piece>> {
        let events: Vec<_> = events.iter().map(|event| Ok((*event).to_owned())).collect();
        pieces(stream::iter(events)).collect().await
    }

    /// Returns the text and the end of an answer.
    async fn whole(events: &[&str]) -> (String, (u32, u32, FinishReason)) {
        let mut text = String::new();
        for piece in read(events).await {
            match piece.unwrap() {
                Piece::Text(more) => text.push_str(&more),
                Piece::End { prompt_tokens, completion_tokens, finish_reason } => {
                    return (text, (prompt_tokens, completion_tokens, finish_reason));
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("no end after {text:?}")
    }

    const TEXT: &str =
        r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#;
    const REASON: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;

    #[tokio::test]
    async fn usage_is_read_from_any_chunk_and_is_optional() {
        use FinishReason::{Length, Stop};
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":7,"total_tokens":10}}"#;
        let beside_null = r#"{"choices":null,"usage":{"prompt_tokens":3,"completion_tokens":null}}"#;
        let strange =
            r#"{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":"many"},"error":null}"#;
        let both = r#"{"choices":[{"index":0,"delta":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":7}}"#;
        assert_eq!(whole(&[TEXT, REASON, usage, "[DONE]"]).await, ("a".into(), (3, 7, Length)));
        assert_eq!(whole(&[TEXT, both, "[DONE]"]).await, ("a".into(), (3, 7, Stop)));
        assert_eq!(whole(&[TEXT, TEXT, REASON, "[DONE]"]).await, ("aa".into(), (0, 2, Length)));
        assert_eq!(whole(&[TEXT, REASON, beside_null, "[DONE]"]).await, ("a".into(), (3, 1, Length)));
        assert_eq!(whole(&[TEXT, REASON, strange, "[DONE]"]).await, ("a".into(), (0, 1, Length)));
    }

    #[tokio::test]
    async fn answer_with_finish_reason_is_complete() {
        let last = r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"stop"}]}"#;
        let end = ("ab".into(), (0, 2, FinishReason::Stop));
        for after in [&[][..], &[r#"{"choices":["#], &["", " "], &[r#"{"error":"late"}"#], &["[DONE]"]] {
            assert_eq!(whole(&[&["", TEXT, last], after].concat()).await, end, "{after:?}");
        }
        let broken = stream::iter([Ok(TEXT.to_owned()), Ok(last.to_owned()), Err(Error::unavailable("cut"))]);
        assert!(matches!(pieces(broken).collect::<Vec<_>>().await.pop(), Some(Ok(Piece::End { .. }))));
    }

    #[tokio::test]
    async fn answer_without_finish_reason_is_an_error() {
        let failure = async |events: &[&str]| read(events).await.pop().unwrap().unwrap_err();
        assert!(failure(&[TEXT, "[DONE]"]).await.message().contains("without a reason"));
        assert!(
            failure(&[r#"{"error":{"message":"out of memory"}}"#])
                .await
                .to_string()
                .contains("out of memory")
        );
        let vllm = r#"{"object":"error","message":"out of memory","type":"x","code":500}"#;
        assert!(failure(&[vllm]).await.to_string().contains("out of memory"));
        let full = r#"{"error":{"message":"too many tokens","code":"context_length_exceeded"}}"#;
        assert_eq!(failure(&[full]).await.kind(), ErrorKind::ContextLength);
        let aborted = r#"{"choices":[{"delta":{"content":"b"},"finish_reason":"abort"}]}"#;
        assert!(failure(&[TEXT, aborted]).await.message().contains("\"abort\""));
        assert_eq!(failure(&["{"]).await.kind(), ErrorKind::Unavailable);
        assert!(matches!(read(&[TEXT]).await[..], [Ok(Piece::Text(_))]), "the connection was closed");
    }

    #[tokio::test]
    async fn refusals_filters_and_parts_are_decoded() {
        let refusal = r#"{"choices":[{"delta":{"refusal":"I may not."}}]}"#;
        let filtered = r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#;
        let parts = r#"{"choices":[{"delta":{"content":[{"type":"text","text":"x"},{"type":"thinking"},{"type":"text","text":"y"}]}}]}"#;
        let reasoning = r#"{"choices":[{"delta":{"content":null,"reasoning_content":"hm"}}]}"#;
        let read = read(&[refusal, parts, reasoning, filtered]).await;
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        let [Piece::Refusal(words), Piece::Text(text), Piece::Reasoning, Piece::End { finish_reason, .. }] =
            &read[..]
        else {
            panic!("{read:?}")
        };
        assert_eq!((words.as_str(), text.as_str()), ("I may not.", "xy"));
        assert_eq!(*finish_reason, FinishReason::ContentFilter);
    }

    #[test]
    fn only_set_parameters_are_sent() {
        let bare = GenerateRequest {
            max_tokens: 9,
            temperature: None,
            repeat_penalty: Some(1.5),
            ..GenerateRequest::new(vec![])
        };
        let keys = |body: &Value| body.as_object().map(Map::keys).unwrap().cloned().collect::<Vec<_>>();
        let always = ["model", "messages", "max_completion_tokens", "stream", "stream_options"];
        assert_eq!(keys(&chat("m", &bare, None)), always);
        let all = GenerateRequest {
            temperature: Some(0.0),
            top_p: Some(1.0),
            seed: Some(4_294_967_301),
            stop: vec!["x".into()],
            ..bare
        };
        let schema = serde_json::from_str(r#"{"properties":{"zebra":{},"apple":{}}}"#).unwrap();
        let body = chat("m", &all, Some(&schema));
        assert_eq!(keys(&body)[5..], ["temperature", "seed", "top_p", "stop", "response_format"]);
        assert_eq!(body["seed"], 4_294_967_301_i64);
        assert!(body.to_string().contains(r#""zebra":{},"apple":{}"#), "{body}");
    }
}
