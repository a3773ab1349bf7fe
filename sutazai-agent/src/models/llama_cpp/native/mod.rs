//! llama.cpp itself (github.com/ggml-org/llama.cpp): runs a model inside this process.
//!
//! One thread owns the model's context ([`worker`]), and requests reach it through a bounded queue. It generates
//! several answers concurrently in one batch, each in a [`slot`] of the context. The tokens of a slot stay in the
//! key-value cache for the next request with the same prefix. A constraint becomes a matcher that every token must
//! satisfy ([`grammar`], [`sampler`]). An embedding model has another kind of thread ([`embedder`]).
//!
//! [`child`] serves such a model over the pipes of a child process.

use std::fmt;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::token::LlamaToken;
use sutazai_core::domain::{ChatMessage, Constraint, GenerateRequest, ModelEvent};
use sutazai_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::file;
use super::protocol::{Loaded, Purpose};
use embedder::Reading;
use grammar::Grammars;
use job::Job;
use prompt::PromptFormat;
use worker::Worker;

pub(super) mod child;
mod embedder;
mod grammar;
mod job;
mod kernels;
mod prompt;
mod sampler;
mod sandbox;
mod slot;
mod text;
mod worker;

/// Maximum number of requests that wait for a slot; a further one is `Busy`.
pub(super) const QUEUE_CAPACITY: usize = 64;

/// Channel for the parts of an answer.
pub(super) trait Answer<T>: fmt::Debug + Send {
    /// Sends one part of the answer.
    fn send(&mut self, part: T);

    /// Returns whether the answer is no longer wanted: its receiver was dropped or the request was canceled.
    fn is_closed(&self) -> bool;
}

/// Vectors of the texts of a request, and the number of tokens of the texts.
pub(super) type Vectors = (Vec<Vec<f32>>, u32);

impl Answer<Result<ModelEvent>> for mpsc::UnboundedSender<Result<ModelEvent>> {
    fn send(&mut self, part: Result<ModelEvent>) {
        let _ = mpsc::UnboundedSender::send(self, part);
    }

    fn is_closed(&self) -> bool {
        mpsc::UnboundedSender::is_closed(self)
    }
}

impl Answer<Result<Vectors>> for Option<oneshot::Sender<Result<Vectors>>> {
    fn send(&mut self, part: Result<Vectors>) {
        if let Some(sender) = self.take() {
            let _ = sender.send(part);
        }
    }

    fn is_closed(&self) -> bool {
        self.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// Callback after each computation of the model's thread.
pub(super) type Progress = Arc<dyn Fn() + Send + Sync>;

/// Loaded model that either generates text or makes embeddings.
pub(super) struct Model {
    loaded: Loaded,
    name: String,
    model: Arc<LlamaModel>,
    queue: Queue,
    thread: Option<JoinHandle<()>>,
}

/// Queue to the model's thread, by the model's purpose.
enum Queue {
    Write {
        format: PromptFormat,
        grammars: Grammars,
        jobs: SyncSender<Job>,
    },
    Embed(SyncSender<Reading>),
    /// State while the model is being dropped.
    Closed,
}

impl Model {
    /// Loads a model, with one thread per processor.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS` when the file is not a GGUF model that generates text or makes
    /// embeddings.
    pub(super) fn open(path: &Path, name: &str, progress: Progress) -> Result<Self> {
        file::check(path)?;
        let backend = llama()?;
        let model = LlamaModel::load_from_file(backend, path, &LlamaModelParams::default()).map_err(|e| {
            file::unusable(path, "the model in it cannot be loaded; it may be cut short").with_source(e)
        })?;
        let purpose = embedder::purpose(&model).map_err(|why| file::unusable(path, why))?;
        let model = Arc::new(model);
        let format = PromptFormat::of(&model);
        let loaded = Loaded {
            purpose,
            slots: worker::SLOTS,
            parameters: model.n_params(),
            context_length: match purpose {
                Purpose::Write => worker::longest(&model),
                Purpose::Embed => embedder::longest(&model) as u32,
            },
            note: format.note(&model).filter(|_| purpose == Purpose::Write),
        };
        let (ready, begun) = std::sync::mpsc::channel();
        let (shared, own_name) = (model.clone(), name.to_owned());
        let (queue, thread) = match purpose {
            Purpose::Write => {
                let (jobs, queue) = sync_channel(QUEUE_CAPACITY);
                let work = move || Worker::run(backend, &shared, &own_name, &queue, &ready, &*progress);
                let thread = start(work)?;
                (Queue::Write { format, grammars: Grammars::of(&model)?, jobs }, thread)
            }
            Purpose::Embed => {
                let (readings, queue) = sync_channel(QUEUE_CAPACITY);
                let thread = start(move || embedder::run(backend, &shared, &queue, &ready, &*progress))?;
                (Queue::Embed(readings), thread)
            }
        };
        begun
            .recv()
            .unwrap_or_else(|e| Err(Error::internal("the thread of the model ended").with_source(e)))?;
        Ok(Self { loaded, name: name.to_owned(), model, queue, thread: Some(thread) })
    }

    /// Returns the properties of the loaded model.
    pub(super) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// Prepares a request and queues it; its events go to `answer`.
    ///
    /// # Errors
    /// `InvalidInput` naming `messages` or `constraint`; `Busy` when the queue is full; `Unsupported` when the model
    /// generates no text.
    pub(super) fn generate(
        &self,
        request: GenerateRequest,
        answer: Box<dyn Answer<Result<ModelEvent>>>,
    ) -> Result<()> {
        let deadline = request.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let Queue::Write { format, grammars, jobs } = &self.queue else {
            return Err(writes_no_text(&self.name));
        };
        let prompt = format.tokens(&self.model, &request.messages)?;
        let measured = match &request.constraint {
            Some(Constraint::Text(text)) => self.tokens(text)?,
            _ => Vec::new(),
        };
        let matcher =
            request.constraint.as_ref().map(|constraint| grammars.matcher(constraint)).transpose()?;
        let matcher = matcher.flatten();
        send(jobs, Job { prompt, measured, matcher, deadline, answer, request })
    }

    /// Tokenizes a text whose probability is requested.
    fn tokens(&self, text: &str) -> Result<Vec<LlamaToken>> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), false, false);
        match tokens.is_empty() {
            true => Err(Error::invalid("constraint", "expected a text that is not empty")),
            false => Ok(tokens),
        }
    }

    /// Queues texts for embedding; their vectors go to `answer`.
    ///
    /// # Errors
    /// `ContextLength` naming `input` for a text that is too long; `Busy` when the queue is full; `Unsupported` when
    /// the model makes no embeddings.
    pub(super) fn embed(&self, texts: &[String], answer: Box<dyn Answer<Result<Vectors>>>) -> Result<()> {
        let Queue::Embed(readings) = &self.queue else {
            return Err(makes_no_embeddings(&self.name));
        };
        let (most, vocabulary) = (embedder::longest(&self.model), self.model.vocab());
        let texts: Vec<_> =
            texts.iter().map(|text| vocabulary.tokenize(text.as_bytes(), true, false)).collect();
        if let Some(text) = texts.iter().find(|text| text.len() > most) {
            let message = format!("expected texts of at most {most} tokens, got one of {}", text.len());
            return Err(Error::context_length("input", message));
        }
        send(readings, Reading { texts, answer })
    }

    /// Reads a batch and generates some tokens, so that kernels that crash on this machine do so before the first
    /// request.
    ///
    /// # Errors
    /// Any error of the request that it makes.
    pub(super) fn self_test(&self) -> Result<()> {
        let text =
            "The kernel moves pages of memory to disk when programs ask for more than the machine has. "
                .repeat(2);
        match &self.queue {
            Queue::Write { .. } => {
                let (sender, mut events) = mpsc::unbounded_channel();
                let messages = vec![ChatMessage::user(text)];
                let request = GenerateRequest {
                    max_tokens: 3,
                    temperature: Some(0.0),
                    ..GenerateRequest::new(messages)
                };
                self.generate(request, Box::new(sender))?;
                while let Some(event) = events.blocking_recv() {
                    event?;
                }
                Ok(())
            }
            _ => {
                let (sender, vectors) = oneshot::channel();
                self.embed(&[text.clone(), text], Box::new(Some(sender)))?;
                let (vectors, _) = vectors.blocking_recv().map_err(|_| ended())??;
                match vectors.iter().flatten().all(|value| value.is_finite()) {
                    true => Ok(()),
                    false => {
                        Err(Error::unavailable("the self-test of the model gave values that are not numbers"))
                    }
                }
            }
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Model {
    /// Waits for the thread, which stops at its next token: a model must not compute while the process tears down.
    fn drop(&mut self) {
        self.queue = Queue::Closed;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Errors of an embedding model that is asked to write, and of a chat model that is asked to embed.
pub(super) use super::{makes_no_embeddings, writes_no_text};

fn start(work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("llama-cpp".to_owned())
        .spawn(work)
        .map_err(|e| Error::unavailable("the thread of the model could not be started").with_source(e))
}

fn send<T>(queue: &SyncSender<T>, request: T) -> Result<()> {
    queue.try_send(request).map_err(|e| match e {
        TrySendError::Full(_) => super::busy(),
        TrySendError::Disconnected(_) => ended(),
    })
}

fn ended() -> Error {
    Error::unavailable("the thread of the model has ended")
}

/// Initializes llama.cpp once per process, with its log output switched off, because errors are returned as values.
fn llama() -> Result<&'static LlamaBackend> {
    static LLAMA: OnceLock<Result<LlamaBackend>> = OnceLock::new();
    let start = || {
        kernels::load(&[])?;
        let in_use = |_| Error::unavailable("llama.cpp is in use by other code of this process");
        let mut llama = LlamaBackend::init().map_err(in_use)?;
        llama.void_logs();
        Ok(llama)
    };
    LLAMA.get_or_init(start).as_ref().map_err(Clone::clone)
}
