//! Models of any server that speaks OpenAI's API (platform.openai.com/docs/api-reference): `/models`,
//! `/chat/completions` streamed as server-sent events, `/embeddings`. Among them llama.cpp's `llama-server`, vLLM,
//! LM Studio.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use sutazai_core::domain::{Constraint, Embeddings, FinishReason, GenerateRequest, ModelInfo};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::answer::{self, Deadline, Piece};
use super::http::HttpClient;
use super::wire::{SseDecoder, decode, read_json};

/// The name of the backend and of its feature.
const NAME: &str = "openai";

/// A client of an OpenAI-compatible server. JSON Schemas go to it as `response_format`; since not every such server
/// keeps to them, a finished text is checked here again. It has no grammars.
#[derive(Debug)]
pub struct OpenAiModelBackend {
    http: HttpClient,
    /// Models the server has listed. Some servers answer to any name with the one model they have, so that only the
    /// list tells what is really there.
    listed: Mutex<BTreeSet<String>>,
}

impl OpenAiModelBackend {
    /// The server at this address, such as `http://127.0.0.1:8080/v1`, and the bearer key it wants, if it wants one.
    /// It is not asked anything yet.
    ///
    /// # Errors
    /// `InvalidInput` when this is no HTTP address or no key that fits into a header.
    pub fn new(base_url: &str, api_key: Option<&str>) -> Result<Self> {
        Ok(Self { http: HttpClient::new(NAME, base_url, api_key)?, listed: Mutex::default() })
    }

    /// Takes a server that keeps silent for so long for stuck; two minutes unless told otherwise.
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.http.set_idle(idle);
        self
    }

    /// The model to ask: the one that is wanted, or the server's first.
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
        let models: Vec<_> = list.data.into_iter().map(Model::into_info).collect();
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
                    Some(Constraint::Grammar(_)) => return Err(Error::unsupported("openai has no grammars")),
                    Some(Constraint::Text(_)) => return Err(Error::unsupported("openai measures no texts")),
                };
                let model = self.model(request.model.clone()).await?;
                let body = self.http.stream("chat/completions", &chat(&model, &request, schema)).await?;
                let mut reader = ChunkReader::default();
                let pieces = decode(body, SseDecoder::default())
                    .flat_map(move |data| stream::iter(data.and_then(|data| reader.read(&data)).transpose()));
                Ok(answer::stream(pieces, &request, deadline, NAME, model))
            })
            .await?
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let model = self.model(model).await?;
        let mut answer: EmbedAnswer =
            self.http.post("embeddings", &json!({ "model": model, "input": texts })).await?;
        if answer.data.len() != texts.len() {
            let (got, asked) = (answer.data.len(), texts.len());
            return Err(Error::unavailable(format!("openai gave {got} embeddings for {asked} texts")));
        }
        answer.data.sort_by_key(|embedding| embedding.index);
        Ok(Embeddings {
            backend: NAME.to_owned(),
            model,
            vectors: answer.data.into_iter().map(|embedding| embedding.embedding).collect(),
            prompt_tokens: answer.usage.map(|usage| usage.prompt_tokens),
        })
    }
}

/// The body of `/chat/completions`. The protocol has no repeat penalty; the nearest it has is a frequency penalty,
/// 0.0 where the other is 1.0.
fn chat(model: &str, request: &GenerateRequest, schema: Option<&Value>) -> Value {
    let mut body = json!({
        "model": model,
        "messages": request.messages,
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "frequency_penalty": (request.repeat_penalty - 1.0).clamp(-2.0, 2.0),
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if let Some(seed) = request.seed {
        body["seed"] = seed.into();
    }
    if let Some(top_p) = request.top_p {
        body["top_p"] = top_p.into();
    }
    // Some servers refuse an empty list.
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

/// Reads the chunks of one answer. The finish reason and the usage may come in one chunk (`llama-server`) or in two
/// (OpenAI), and some servers count nothing: then pieces are counted, of which each is about a token.
#[derive(Debug, Default)]
struct ChunkReader {
    pieces: u32,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
}

impl ChunkReader {
    /// What one event's data means; nothing for a chunk without text.
    fn read(&mut self, data: &str) -> Result<Option<Piece>> {
        if data == "[DONE]" {
            let reason = self.finish_reason.take();
            let finish_reason =
                reason.ok_or_else(|| Error::unavailable("openai ended its answer without a reason"))?;
            let usage =
                self.usage.take().unwrap_or(Usage { prompt_tokens: 0, completion_tokens: self.pieces });
            let Usage { prompt_tokens, completion_tokens } = usage;
            return Ok(Some(Piece::End { prompt_tokens, completion_tokens, finish_reason }));
        }
        let chunk: Chunk = read_json(data.as_bytes(), "openai sent a chunk that is not of its protocol")?;
        if let Some(error) = chunk.error {
            return Err(Error::unavailable("openai broke off").with_detail(super::http::sentence(&error)));
        }
        self.usage = chunk.usage.or(self.usage.take());
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(None) };
        if let Some(reason) = choice.finish_reason {
            self.finish_reason =
                Some(if reason == "length" { FinishReason::Length } else { FinishReason::Stop });
        }
        let text = choice.delta.content.filter(|text| !text.is_empty());
        self.pieces += u32::from(text.is_some());
        Ok(text.map(Piece::Text))
    }
}

#[derive(Debug, Deserialize)]
struct ModelList {
    data: Vec<Model>,
}

#[derive(Debug, Deserialize)]
struct Model {
    id: String,
    /// What `llama-server` adds.
    meta: Option<ModelMeta>,
}

#[derive(Debug, Default, Deserialize)]
struct ModelMeta {
    size: Option<u64>,
    n_params: Option<u64>,
    n_ctx_train: Option<u32>,
}

impl Model {
    fn into_info(self) -> ModelInfo {
        let meta = self.meta.unwrap_or_default();
        ModelInfo {
            name: self.id,
            backend: NAME.into(),
            size_bytes: meta.size,
            parameters: meta.n_params,
            context_length: meta.n_ctx_train,
            digest: None,
            process: None,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Chunk {
    error: Option<Value>,
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Delta,
    finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Delta {
    content: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

#[derive(Debug, Deserialize)]
struct EmbedAnswer {
    data: Vec<Embedding>,
    usage: Option<EmbedUsage>,
}

#[derive(Debug, Deserialize)]
struct EmbedUsage {
    prompt_tokens: u32,
}

#[derive(Debug, Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(chunks: &[&str]) -> (u32, u32, FinishReason) {
        let mut reader = ChunkReader::default();
        for chunk in chunks {
            reader.read(chunk).unwrap();
        }
        match reader.read("[DONE]").unwrap() {
            Some(Piece::End { prompt_tokens, completion_tokens, finish_reason }) => {
                (prompt_tokens, completion_tokens, finish_reason)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn usage_is_read_wherever_it_stands() {
        let text = r#"{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}],"usage":null}"#;
        let reason = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#;
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":7,"total_tokens":10}}"#;
        let both = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":7}}"#;
        assert_eq!(end(&[text, reason, usage]), (3, 7, FinishReason::Length));
        assert_eq!(end(&[text, both]), (3, 7, FinishReason::Stop));
        assert_eq!(end(&[text, text, reason]), (0, 2, FinishReason::Length));
    }

    #[test]
    fn an_answer_without_a_reason_is_none() {
        let mut reader = ChunkReader::default();
        reader.read(r#"{"choices":[{"delta":{"content":"half"}}]}"#).unwrap();
        assert_eq!(reader.read("[DONE]").unwrap_err().kind(), ErrorKind::Unavailable);
        assert!(
            reader
                .read(r#"{"error":{"message":"out of memory"}}"#)
                .unwrap_err()
                .to_string()
                .contains("out of memory")
        );
        reader.read("{").unwrap_err();
    }
}
