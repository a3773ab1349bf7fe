//! GGUF models inside this process, by llama.cpp (github.com/ggml-org/llama.cpp).
//!
//! One thread owns the model's context ([`worker`]); requests reach it through a short queue. Several are written side
//! by side in one batch, each in a [`slot`] of the context, and what a slot has read stays in the key-value cache for
//! the next request that begins the same way. A constraint becomes a grammar that every token must fit ([`sampler`]).
//! A model that makes embeddings has a thread of another kind ([`embedder`]).

use std::fmt;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::StreamExt;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use sutazai_core::domain::{Constraint, Embeddings, GenerateRequest, ModelInfo};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::{Error, ErrorKind, Result};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;

use embedder::{Purpose, Reading};
use prompt::PromptFormat;
use worker::{Job, Worker};

mod embedder;
mod file;
mod prompt;
mod sampler;
mod slot;
mod text;
mod worker;

/// The name of the backend and of its feature.
const NAME: &str = "llama-cpp";

/// Requests that may wait for a slot; one more is `Busy`.
const QUEUE: usize = 64;

/// The longest grammar; its states are walked for every token.
const GRAMMAR_LIMIT: usize = 256 * 1024;

/// A model of a GGUF file: one that writes, or one that makes embeddings. One that writes takes JSON Schemas and grammars,
/// and what is sampled cannot break them.
pub struct LlamaCppModelBackend {
    info: ModelInfo,
    model: Arc<LlamaModel>,
    queue: Queue,
    thread: Option<JoinHandle<()>>,
}

/// How requests reach the thread, by what the model is for.
enum Queue {
    Write(PromptFormat, SyncSender<Job>),
    Embed(SyncSender<Reading>),
    /// While it is dropped.
    Closed,
}

impl LlamaCppModelBackend {
    /// Loads a model, with one thread per processor. The model goes by the file's name without its ending.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS` when there is no such file, or it is no GGUF model that writes or makes
    /// embeddings.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let size = file::check(path)?;
        let backend = llama()?;
        let model = LlamaModel::load_from_file(backend, path, &LlamaModelParams::default()).map_err(|e| {
            file::unusable(path, "the model in it cannot be loaded; it may be cut short").with_source(e)
        })?;
        let model = Arc::new(model);
        let info = ModelInfo {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            backend: NAME.to_owned(),
            size_bytes: Some(size),
            parameters: Some(model.n_params()),
            context_length: Some(model.n_ctx_train()),
            digest: None,
            process: None,
        };
        let (ready, begun) = std::sync::mpsc::channel();
        let (shared, name) = (model.clone(), info.name.clone());
        let (queue, thread) = match Purpose::of(&model).map_err(|why| file::unusable(path, why))? {
            Purpose::Write => {
                let (jobs, queue) = sync_channel(QUEUE);
                let thread = start(move || Worker::run(backend, &shared, &name, &queue, &ready))?;
                (Queue::Write(PromptFormat::of(&model), jobs), thread)
            }
            Purpose::Embed => {
                let (readings, queue) = sync_channel(QUEUE);
                let thread = start(move || embedder::run(backend, &shared, &queue, &ready))?;
                (Queue::Embed(readings), thread)
            }
        };
        begun
            .recv()
            .unwrap_or_else(|e| Err(Error::internal("the thread of the model ended").with_source(e)))?;
        Ok(Self { info, model, queue, thread: Some(thread) })
    }

    /// # Errors
    /// `NotFound` when another model than this is wanted.
    fn is_meant(&self, wanted: Option<&String>) -> Result<()> {
        match wanted.filter(|wanted| **wanted != self.info.name) {
            Some(wanted) => {
                Err(super::specification::no_such_model(NAME, wanted, std::slice::from_ref(&self.info)))
            }
            None => Ok(()),
        }
    }
}

fn start(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("llama-cpp".to_owned())
        .spawn(work)
        .map_err(|e| Error::internal("the thread of the model could not be started").with_source(e))
}

fn send<T>(queue: &SyncSender<T>, request: T) -> Result<()> {
    queue.try_send(request).map_err(|e| match e {
        TrySendError::Full(_) => {
            Error::new(ErrorKind::Busy, format!("{QUEUE} requests wait for the model already"))
                .with_retry_after(Duration::from_secs(1))
        }
        TrySendError::Disconnected(_) => gone(),
    })
}

fn gone() -> Error {
    Error::unavailable("the thread of the model has ended")
}

impl fmt::Debug for LlamaCppModelBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaCppModelBackend").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Drop for LlamaCppModelBackend {
    /// Waits for the thread, which stops at its next token: a model must not compute while the process tears down.
    fn drop(&mut self) {
        self.queue = Queue::Closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl ModelBackend for LlamaCppModelBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn supports(&self, _: &Constraint) -> bool {
        matches!(self.queue, Queue::Write(..))
    }

    fn slots(&self) -> Option<usize> {
        matches!(self.queue, Queue::Write(..)).then_some(worker::SLOTS)
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        Ok(vec![self.info.clone()])
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        self.is_meant(request.model.as_ref())?;
        let Queue::Write(format, jobs) = &self.queue else {
            return Err(Error::unsupported(format!(
                "{} makes embeddings and writes no text",
                self.info.name
            )));
        };
        let deadline = request.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let prompt = format.tokens(&self.model, &request.messages)?;
        let grammar = request.constraint.as_ref().map(grammar).transpose()?;
        let (sender, events) = mpsc::unbounded_channel();
        let job = Job { prompt, grammar, deadline, events: sender, request };
        send(jobs, job)?;
        Ok(UnboundedReceiverStream::new(events).boxed())
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        self.is_meant(model.as_ref())?;
        let Queue::Embed(readings) = &self.queue else {
            let why = format!(
                "{} writes text and makes no embeddings; expected an embedding model, whose GGUF file says how it pools",
                self.info.name
            );
            return Err(Error::unsupported(why));
        };
        let (most, vocabulary) = (embedder::longest(&self.model), self.model.vocab());
        let texts: Vec<_> =
            texts.iter().map(|text| vocabulary.tokenize(text.as_bytes(), true, false)).collect();
        if let Some(text) = texts.iter().find(|text| text.len() > most) {
            let message = format!("expected texts of at most {most} tokens, got one of {}", text.len());
            return Err(Error::invalid("input", message));
        }
        let prompt_tokens = texts.iter().map(Vec::len).sum::<usize>() as u32;
        let (answer, made) = oneshot::channel();
        send(readings, Reading { texts, answer })?;
        let vectors = made.await.map_err(|_| gone())??;
        let (backend, model) = (NAME.to_owned(), self.info.name.clone());
        Ok(Embeddings { backend, model, vectors, prompt_tokens: Some(prompt_tokens) })
    }
}

/// The constraint in llama.cpp's notation.
fn grammar(constraint: &Constraint) -> Result<String> {
    let grammar = match constraint {
        Constraint::Grammar(grammar) => grammar.clone(),
        Constraint::JsonSchema(schema) => {
            llama_cpp_2::json_schema_to_grammar(&schema.to_string()).map_err(|e| {
                Error::invalid("constraint", "expected a JSON Schema that can be made a grammar")
                    .with_source(e)
            })?
        }
    };
    if grammar.len() > GRAMMAR_LIMIT {
        let length = grammar.len();
        return Err(Error::invalid(
            "constraint",
            format!("expected at most {GRAMMAR_LIMIT} bytes, got {length}"),
        ));
    }
    Ok(grammar)
}

/// llama.cpp itself, set up once a process. It has no say on the process's standard error.
fn llama() -> Result<&'static LlamaBackend> {
    static LLAMA: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    let start = || {
        let mut llama = LlamaBackend::init().ok()?;
        llama.void_logs();
        Some(llama)
    };
    LLAMA
        .get_or_init(start)
        .as_ref()
        .ok_or_else(|| Error::unavailable("llama.cpp is in use by other code of this process"))
}
