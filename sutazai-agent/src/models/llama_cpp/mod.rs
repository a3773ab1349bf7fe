//! GGUF models, run by llama.cpp (github.com/ggml-org/llama.cpp) in a child process.
//!
//! Native code that parses downloaded files and runs kernels for one processor may crash, abort, hang or exhaust
//! memory. In a separate process ([`process`]) that affects only the requests in progress: they fail or are retried,
//! and the process is restarted. The child runs [`native`] and exchanges the frames of [`protocol`]. An embedder who
//! prefers a single process uses [`LlamaCppModelBackend::in_process`].

use std::fmt;
use std::path::Path;
#[cfg(feature = "llama-cpp-native")]
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use sutazai_core::domain::{Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo, ModelPurpose};
use sutazai_core::ports::{ModelBackend, ModelStream};
use sutazai_core::{Error, ErrorKind, Result, adapter};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use in_flight::Waiting;
use process::{RequestHandle, Supervised};
use protocol::{Loaded, Purpose};
use state::State;

mod file;
#[cfg(test)]
mod fuzz;
mod in_flight;
mod launcher;
#[cfg(feature = "llama-cpp-native")]
mod native;
mod process;
mod protocol;
mod state;

pub use launcher::ModelLauncher;
#[cfg(feature = "llama-cpp-native")]
pub use native::child::run as run_model_process;

/// Name of the backend and of its feature.
const NAME: &str = "llama-cpp";

/// Generous upper bound of the average bytes per token; a text with more bytes per token of the context cannot fit.
const MAX_BYTES_PER_TOKEN: usize = 16;

/// Backend for the model of one GGUF file, which either generates text or makes embeddings. A model that generates
/// supports JSON Schemas and grammars, which the sampler enforces token by token.
pub struct LlamaCppModelBackend {
    info: ModelInfo,
    loaded: Loaded,
    runner: Runner,
}

/// Place where the model runs: a child process or this process.
enum Runner {
    Child(Supervised),
    #[cfg(feature = "llama-cpp-native")]
    InProcess(Arc<native::Model>),
}

impl LlamaCppModelBackend {
    /// Loads a model in a child process, with one thread per processor, and waits until it has passed its self-test.
    /// The model's name is the file name without its extension.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS` when there is no such file or it is not a GGUF model that generates text
    /// or makes embeddings, or naming `MODEL_PROGRAM` when the program cannot be started; `Unavailable` when the child
    /// crashes.
    pub fn open(path: impl AsRef<Path>, launcher: ModelLauncher) -> Result<Self> {
        let path = path.as_ref();
        let bytes = file::check(path)?;
        let name = file::model_name(path);
        let digest = State(launcher.state_folder.clone()).digest(path)?;
        let child = Supervised::start(path, &name, &digest, launcher)?;
        let loaded = child.loaded()?;
        Ok(Self { info: info(name, bytes, &loaded, digest), loaded, runner: Runner::Child(child) })
    }

    /// Loads a model inside this process: a crash of llama.cpp ends the process, and the two share their memory.
    ///
    /// # Errors
    /// `InvalidInput` naming `MODEL_BACKENDS`, as [`open`](Self::open).
    #[cfg(feature = "llama-cpp-native")]
    pub fn in_process(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = file::check(path)?;
        let name = file::model_name(path);
        let digest = State(None).digest(path)?;
        let model = native::Model::open(path, &name, std::sync::Arc::new(|| ()))?;
        let loaded = model.loaded().clone();
        Ok(Self {
            info: info(name, bytes, &loaded, digest),
            loaded,
            runner: Runner::InProcess(Arc::new(model)),
        })
    }

    /// Rejects a text that cannot fit into the context before the cost of tokenizing it is paid.
    ///
    /// # Errors
    /// `ContextLength` naming the field.
    fn check_length(&self, field: &str, bytes: usize) -> Result<()> {
        let most = MAX_BYTES_PER_TOKEN * self.loaded.context_length as usize;
        match bytes > most {
            true => Err(Error::context_length(
                field,
                format!("expected at most {most} bytes for this model, got {bytes}"),
            )),
            false => Ok(()),
        }
    }

    /// Checks that the request names this model or none.
    ///
    /// # Errors
    /// `NotFound` when another model is wanted.
    fn check_name(&self, wanted: Option<&String>) -> Result<()> {
        match wanted.filter(|wanted| **wanted != self.info.name) {
            Some(wanted) => {
                Err(super::specification::no_such_model(NAME, wanted, std::slice::from_ref(&self.info)))
            }
            None => Ok(()),
        }
    }
}

/// Tokenizes and compiles on a blocking thread, so that the threads that serve requests stay free.
#[cfg(feature = "llama-cpp-native")]
async fn run_blocking(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    let panicked = |e| Error::internal("the preparation of a request panicked").with_source(e);
    tokio::task::spawn_blocking(work).await.map_err(panicked)?
}

fn info(name: String, bytes: u64, loaded: &Loaded, digest: String) -> ModelInfo {
    if let Some(note) = &loaded.note {
        tracing::warn!(model = name, note, "model runs with a restriction");
    }
    ModelInfo {
        size_bytes: Some(bytes),
        parameters: Some(loaded.parameters),
        context_length: Some(loaded.context_length),
        purpose: Some(match loaded.purpose {
            Purpose::Write => ModelPurpose::Write,
            Purpose::Embed => ModelPurpose::Embed,
        }),
        digest: Some(digest),
        note: loaded.note.clone(),
        ..ModelInfo::new(name, NAME)
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Busy, "too many requests wait for the model already")
        .with_retry_after(Duration::from_secs(1))
}

fn writes_no_text(model: &str) -> Error {
    Error::unsupported(format!("{model} is an embedding model and writes no text"))
}

fn makes_no_embeddings(model: &str) -> Error {
    Error::unsupported(format!(
        "{model} writes text and makes no embeddings; expected an embedding model, whose GGUF file says how it pools"
    ))
}

impl fmt::Debug for LlamaCppModelBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaCppModelBackend").field("info", &self.info).finish_non_exhaustive()
    }
}

#[async_trait]
impl ModelBackend for LlamaCppModelBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn supports(&self, _: &Constraint) -> bool {
        self.loaded.purpose == Purpose::Write
    }

    fn slots(&self) -> Option<usize> {
        (self.loaded.purpose == Purpose::Write).then_some(self.loaded.slots)
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        let process = match &self.runner {
            Runner::Child(child) => Some(child.status()),
            #[cfg(feature = "llama-cpp-native")]
            Runner::InProcess(_) => None,
        };
        Ok(vec![ModelInfo { process, ..self.info.clone() }])
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        self.check_name(request.model.as_ref())?;
        if self.loaded.purpose != Purpose::Write {
            return Err(writes_no_text(&self.info.name));
        }
        self.check_length("messages", request.messages.iter().map(|message| message.content.len()).sum())?;
        if let Some(constraint @ Constraint::JsonSchema(_)) = &request.constraint {
            adapter::check_schema(constraint).await?;
        }
        let deadline = request.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let (sender, events) = mpsc::unbounded_channel();
        let handle = match &self.runner {
            Runner::Child(child) => Some(child.send(Waiting::Generate { request, events: sender })?),
            #[cfg(feature = "llama-cpp-native")]
            Runner::InProcess(model) => {
                let model = model.clone();
                run_blocking(move || model.generate(request, Box::new(sender))).await?;
                None
            }
        };
        let mut answer = AnswerStream { events, deadline, _ticket: handle };
        // Wait for the first event: a rejected request must fail here, where a chain of backends can still choose
        // another.
        let first = answer.next().await;
        Ok(match first {
            Some(Err(e)) => return Err(e),
            first => stream::iter(first).chain(stream::unfold(answer, AnswerStream::unfold)).boxed(),
        })
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        self.check_name(model.as_ref())?;
        if self.loaded.purpose != Purpose::Embed {
            return Err(makes_no_embeddings(&self.info.name));
        }
        self.check_length("input", texts.iter().map(String::len).max().unwrap_or_default())?;
        let (answer, vectors) = oneshot::channel();
        let _ticket: Option<RequestHandle> = match &self.runner {
            Runner::Child(child) => Some(child.send(Waiting::Embed { texts: texts.to_vec(), answer })?),
            #[cfg(feature = "llama-cpp-native")]
            Runner::InProcess(model) => {
                let (model, texts) = (model.clone(), texts.to_vec());
                run_blocking(move || model.embed(&texts, Box::new(Some(answer)))).await?;
                None
            }
        };
        let ended = |_| Error::unavailable("the model has ended");
        let (vectors, prompt_tokens) = vectors.await.map_err(ended)??;
        let (backend, model) = (NAME.to_owned(), self.info.name.clone());
        Ok(Embeddings { backend, model, vectors, prompt_tokens: Some(prompt_tokens) })
    }
}

/// Events of one answer; dropping the stream stops the model.
struct AnswerStream {
    events: mpsc::UnboundedReceiver<Result<ModelEvent>>,
    /// Enforced here as well as in the child, in case the child stops responding.
    deadline: Option<(Instant, Duration)>,
    _ticket: Option<RequestHandle>,
}

impl AnswerStream {
    async fn next(&mut self) -> Option<Result<ModelEvent>> {
        let Some((at, timeout)) = self.deadline else { return self.events.recv().await };
        let late = |_| Some(Err(Error::timeout(format!("no answer within {timeout:?}"))));
        let event = tokio::time::timeout_at(at, self.events.recv()).await.unwrap_or_else(late);
        if matches!(event, Some(Err(_))) {
            self.events.close();
        }
        event
    }

    async fn unfold(mut self) -> Option<(Result<ModelEvent>, Self)> {
        Some((self.next().await?, self))
    }
}
