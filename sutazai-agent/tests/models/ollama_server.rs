//! Ollama server for tests: its published API (docs.ollama.com/api) over a model that writes an endless story.
//!
//! It is stricter than the real server: an unknown field, or one of the wrong type, is a 400, so that a wrong request
//! cannot pass. It also fails in the ways of the real server when a test requests that.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sutazai_agent::models::OllamaModelBackend;
use sutazai_core::ports::{Clock, SystemClock};
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::fault::{self, Fault};

/// Contains characters of one to four bytes, so that a cut may fall into the middle of one.
const STORY: &str = "Once the ship Überfahrt 船 sailed out 🚢 with a naïve crew and came to an island; ";

/// Context that every model was trained on, in tokens.
pub(crate) const TRAINED_CONTEXT: usize = 16_384;

/// Number of words of the whole story; a word counts as a token.
const STORY_WORDS: usize = 3_000;

/// Digest and size of a small model, as the library has them.
const DIGEST: &str = "sha256:2af3b81862c6be03c769683af18efdadb2c33f60ff32ab6f83e42c043d6c7816";
const SIZE: u64 = 637_699_456;

/// Running server; its listener closes on drop.
#[derive(Debug)]
pub(crate) struct OllamaServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    models: Mutex<Vec<String>>,
    faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<(String, Value)>>,
    /// Number of answers in progress.
    writing: watch::Sender<usize>,
    /// Permits for concurrent answers, and for those that wait for one.
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl OllamaServer {
    /// Starts a server with these models, with up to four concurrent answers and a long queue.
    pub(crate) async fn start(models: &[&str]) -> Self {
        Self::with_queue(models, 4, 512).await
    }

    /// Starts a server with the limits that `OLLAMA_NUM_PARALLEL` and `OLLAMA_MAX_QUEUE` set.
    pub(crate) async fn with_queue(models: &[&str], parallel: usize, queue: usize) -> Self {
        let shared = Arc::new(Shared {
            models: Mutex::new(models.iter().map(|model| (*model).to_owned()).collect()),
            faults: Mutex::default(),
            requests: Mutex::default(),
            writing: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(parallel)),
            queue: Arc::new(Semaphore::new(parallel + queue)),
        });
        let router = Router::new()
            .route("/api/tags", get(tags))
            .route("/api/show", post(show))
            .route("/api/chat", post(chat))
            .route("/api/generate", post(generate))
            .route("/api/embed", post(embed))
            .route("/api/pull", post(pull))
            .with_state(shared.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn backend(&self) -> OllamaModelBackend {
        OllamaModelBackend::new(&self.url()).unwrap()
    }

    /// Makes the next chat or pull fail in this way; several faults are used in order.
    pub(crate) fn fail(&self, fault: Fault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// Returns the bodies posted to this path so far, in order.
    pub(crate) fn posted(&self, path: &str) -> Vec<Value> {
        let requests = lock(&self.shared.requests);
        requests.iter().filter(|(to, _)| to == path).map(|(_, body)| body.clone()).collect()
    }

    /// Waits until `answers` answers are in progress; panics after a time limit.
    pub(crate) async fn until_writing(&self, answers: usize) {
        let mut writing = self.shared.writing.subscribe();
        let reached = writing.wait_for(|now| *now == answers);
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        assert!(reached.is_ok(), "{} answers are being written", *self.shared.writing.borrow());
    }
}

impl Drop for OllamaServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Fields of a request that loads a model; this server generates nothing for a prompt.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoadRequest {
    model: String,
    stream: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChatRequest {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    options: Options,
    format: Option<Value>,
    stream: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    role: String,
    content: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    num_predict: Option<i64>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    repeat_penalty: Option<f32>,
    #[serde(rename = "seed")]
    _seed: Option<i64>,
    #[serde(default)]
    stop: Vec<String>,
    num_ctx: Option<usize>,
}

impl Options {
    /// Returns the context of a request: 2,048 tokens unless it asks for more, at most what the model was trained on.
    fn context(&self) -> usize {
        self.num_ctx.unwrap_or(2_048).min(TRAINED_CONTEXT)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbedRequest {
    model: String,
    input: Vec<String>,
    truncate: Option<bool>,
    #[serde(default)]
    options: Options,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShowRequest {
    model: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PullRequest {
    model: String,
    stream: Option<bool>,
}

type Answer = Result<Response, (StatusCode, String)>;

async fn tags(State(shared): State<Arc<Shared>>) -> Response {
    let model = |name: &String| {
        json!({
            "name": name, "model": name, "modified_at": "2026-05-04T17:37:44.706015396-07:00",
            "size": SIZE, "digest": DIGEST,
            "details": {
                "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
                "parameter_size": "1.1B", "quantization_level": "Q4_0",
            },
        })
    };
    let models: Vec<_> = lock(&shared.models).iter().map(model).collect();
    axum::Json(json!({ "models": models })).into_response()
}

async fn show(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let show = || -> Answer {
        let request: ShowRequest = shared.read("/api/show", &body)?;
        shared.known(&request.model, |name| format!("model '{name}' not found"))?;
        Ok(axum::Json(json!({
            "modelfile": "", "parameters": "stop    \"x\"", "template": "",
            "details": { "family": "llama" },
            "model_info": { "general.architecture": "llama", "llama.context_length": TRAINED_CONTEXT },
        }))
        .into_response())
    };
    answer(show())
}

async fn chat(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    answer(tell(shared, &body).await)
}

async fn tell(shared: Arc<Shared>, body: &[u8]) -> Answer {
    let request: ChatRequest = shared.read("/api/chat", body)?;
    let options = &request.options;
    for message in &request.messages {
        if !["system", "user", "assistant", "tool"].contains(&message.role.as_str()) {
            return Err(bad(format!("invalid role: {}", message.role)));
        }
    }
    if request.stream == Some(false) || request.messages.is_empty() {
        return Err(bad("this server only streams answers to messages"));
    }
    if options.temperature.is_some_and(|t| t < 0.0)
        || options.top_p.is_some_and(|p| !(0.0..=1.0).contains(&p))
        || options.repeat_penalty.is_some_and(|p| p <= 0.0)
    {
        return Err(bad("invalid option"));
    }
    if request.format.as_ref().is_some_and(|format| !format.is_object() && format != "json") {
        return Err(bad("invalid format: expected \"json\" or a JSON schema"));
    }
    let fault = lock(&shared.faults).pop_front();
    if let Some(Fault::Refuse(status, body, after)) = fault {
        return Ok(fault::refusal(status, body, after));
    }
    let model = shared.known(&request.model, |name| format!("model '{name}' not found"))?;
    let queued = shared.queue.clone().try_acquire_owned().map_err(|_| {
        let busy = "server busy, please try again.  maximum pending requests exceeded";
        (StatusCode::SERVICE_UNAVAILABLE, busy.to_owned())
    })?;
    let place = shared.places.clone().acquire_owned().await.unwrap();
    if matches!(fault, Some(Fault::Silence)) {
        std::future::pending::<()>().await;
    }

    let text = match (&fault, &request.format) {
        (Some(Fault::Says(text)), _) => (*text).to_owned(),
        (_, Some(schema)) => fitting(schema).to_string(),
        _ => STORY.split_inclusive(' ').cycle().take(STORY_WORDS).collect(),
    };
    let end = options.stop.iter().filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len());
    let limit = options.num_predict.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let words: Vec<&str> = text[..end].split_inclusive(' ').collect();
    let reason = if words.len() > limit { "length" } else { "stop" };
    // Truncates silently, like the real server: the oldest messages first, then the beginning of the last one.
    let read: usize = request.messages.iter().map(|m| m.content.split_whitespace().count()).sum();
    let read = read.min(options.context());
    let line = |content: &str, done: bool| {
        json!({
            "model": model, "created_at": SystemClock.now().to_rfc3339(),
            "message": { "role": "assistant", "content": content }, "done": done,
        })
    };
    let mut lines: Vec<Value> = words.iter().take(limit).map(|word| line(word, false)).collect();
    let mut last = line("", true);
    for (key, value) in [
        ("done_reason", json!(reason)),
        ("total_duration", json!(174_560_334_u64)),
        ("load_duration", json!(101_397_084_u64)),
        ("prompt_eval_count", json!(read)),
        ("prompt_eval_duration", json!(13_074_791_u64)),
        ("eval_count", json!(lines.len())),
        ("eval_duration", json!(52_479_709_u64)),
    ] {
        last[key] = value;
    }
    lines.push(last);
    Ok(shared.write(lines, fault, Some((queued, place))))
}

async fn generate(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let load = || -> Answer {
        let request: LoadRequest = shared.read("/api/generate", &body)?;
        if request.stream {
            return Err(bad("this server loads a model in one answer"));
        }
        if let Some(Fault::Refuse(status, body, after)) = lock(&shared.faults).pop_front() {
            return Ok(fault::refusal(status, body, after));
        }
        let model = shared.known(&request.model, |name| format!("model '{name}' not found"))?;
        Ok(axum::Json(json!({
            "model": model, "created_at": SystemClock.now().to_rfc3339(), "response": "", "done": true,
            "done_reason": "load",
        }))
        .into_response())
    };
    answer(load())
}

async fn embed(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let embed = || -> Answer {
        let request: EmbedRequest = shared.read("/api/embed", &body)?;
        let missing = |name: &str| format!("model \"{name}\" not found, try pulling it first");
        let model = shared.known(&request.model, missing)?;
        // Meaningless, but different for each text.
        let sum =
            |text: &String, weight: u32| text.bytes().map(|b| u32::from(b) % weight).sum::<u32>() as f32;
        let embeddings: Vec<_> =
            request.input.iter().map(|text| [sum(text, 7), sum(text, 11), sum(text, 13)]).collect();
        let longest =
            request.input.iter().map(|text| text.split_whitespace().count() + 2).max().unwrap_or_default();
        if request.truncate == Some(false) && longest > request.options.context() {
            return Err(bad("the input length exceeds the context length"));
        }
        // One token for each word, and one at each end.
        let tokens: usize = request.input.iter().map(|text| text.split_whitespace().count() + 2).sum();
        Ok(axum::Json(json!({
            "model": model, "embeddings": embeddings, "total_duration": 14_143_917_u64,
            "load_duration": 1_019_500_u64, "prompt_eval_count": tokens,
        }))
        .into_response())
    };
    answer(embed())
}

/// Pulls any model except those whose names begin with `no-`.
async fn pull(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let pull = || -> Answer {
        let request: PullRequest = shared.read("/api/pull", &body)?;
        if request.model.is_empty() || request.stream == Some(false) {
            return Err(bad("this server only streams pulls of a model that has a name"));
        }
        let fault = lock(&shared.faults).pop_front();
        if let Some(Fault::Refuse(status, body, after)) = fault {
            return Ok(fault::refusal(status, body, after));
        }
        let mut lines = vec![json!({ "status": "pulling manifest" })];
        if request.model.starts_with("no-") {
            lines.push(json!({ "error": "pull model manifest: file does not exist" }));
            return Ok(shared.write(lines, fault, None));
        }
        let status = format!("pulling {}", &DIGEST[7..19]);
        lines.push(json!({ "status": status, "digest": DIGEST, "total": SIZE }));
        for quarter in 1..=4 {
            let completed = SIZE / 4 * quarter;
            lines.push(json!({ "status": status, "digest": DIGEST, "total": SIZE, "completed": completed }));
        }
        for status in ["verifying sha256 digest", "writing manifest", "success"] {
            lines.push(json!({ "status": status }));
        }
        if fault.is_none() {
            lock(&shared.models).push(tagged(&request.model));
        }
        Ok(shared.write(lines, fault, None))
    };
    answer(pull())
}

impl Shared {
    /// Parses and records the body.
    fn read<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, (StatusCode, String)> {
        let request = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
        lock(&self.requests).push((path.to_owned(), serde_json::from_slice(body).unwrap()));
        Ok(request)
    }

    /// Finds the model by its name, with or without `:latest`.
    fn known(&self, name: &str, missing: impl Fn(&str) -> String) -> Result<String, (StatusCode, String)> {
        if lock(&self.models).contains(&tagged(name)) {
            return Ok(name.to_owned());
        }
        Err((StatusCode::NOT_FOUND, missing(name)))
    }

    /// Builds a body of lines, with an injected fault.
    fn write(
        self: &Arc<Self>,
        lines: Vec<Value>,
        fault: Option<Fault>,
        place: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    ) -> Response {
        let lines = lines.iter().map(|line| format!("{line}\n").into_bytes()).collect();
        let body = fault::body(lines, fault, Writing::begin(self.clone(), place));
        ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
    }
}

/// Answer in progress; dropped with the connection.
struct Writing {
    shared: Arc<Shared>,
    _place: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Writing {
    fn begin(shared: Arc<Shared>, place: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>) -> Self {
        shared.writing.send_modify(|now| *now += 1);
        Self { shared, _place: place }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.writing.send_modify(|now| *now -= 1);
    }
}

fn answer(answer: Answer) -> Response {
    answer.unwrap_or_else(|(status, error)| (status, axum::Json(json!({ "error": error }))).into_response())
}

fn bad(error: impl Into<String>) -> (StatusCode, String) {
    (StatusCode::BAD_REQUEST, error.into())
}

fn tagged(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// Builds a document that fits the schema, as constrained sampling would.
fn fitting(schema: &Value) -> Value {
    let least = |key: &str| schema[key].as_u64().unwrap_or(0) as usize;
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), fitting(schema))).collect()
        }
        Some("array") => (0..least("minItems").max(1)).map(|_| fitting(&schema["items"])).collect(),
        Some("string") => "x".repeat(least("minLength").max(1)).into(),
        Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(0).into(),
        Some("boolean") => true.into(),
        _ => Value::Null,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}
