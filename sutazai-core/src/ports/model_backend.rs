//! Model backend port, through which agents and chats use language models.

use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use futures::{Stream, StreamExt};

use crate::domain::{
    Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo, ModelPermissions, ModelUsage,
};
use crate::error::{Error, ErrorKind, Result};

/// A streamed answer: pieces of text and then exactly one `Done`, or an error and then nothing. Dropping it stops the
/// model.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent>> + Send>>;

/// Progress of pulling a model.
#[derive(Debug, Clone, PartialEq)]
pub struct PullProgress {
    /// Description of the current step.
    pub status: String,
    /// Number of bytes fetched so far, if known.
    pub completed_bytes: Option<u64>,
    /// Total number of bytes, if known.
    pub total_bytes: Option<u64>,
}

impl PullProgress {
    /// Returns the completed share of the current step, 0.0 to 1.0; 0.0 if the backend does not report it.
    pub fn fraction(&self) -> f32 {
        match (self.completed_bytes, self.total_bytes) {
            (Some(completed), Some(total)) if total > 0 => (completed as f64 / total as f64).min(1.0) as f32,
            _ => 0.0,
        }
    }
}

/// Progress of pulling a model; ends when the model is available, or with an error.
pub type PullStream = Pin<Box<dyn Stream<Item = Result<PullProgress>> + Send>>;

/// A backend that runs language models.
///
/// # Contract
/// - `models` lists the models that are available; an unreachable backend is `Unavailable`.
/// - `generate` streams pieces of text and then exactly one `Done` with backend, model and token counts.
/// - `max_tokens` limits the answer, and the finish reason then is `Length`.
/// - An unknown model is `NotFound` and names the available ones.
/// - A JSON Schema is enforced or the answer is an error: a text that ends with `Stop` conforms to the schema.
/// - A constraint that `supports` rejects is `Unsupported`.
/// - When the request's timeout expires, the stream ends with `Timeout`.
/// - Dropping the stream stops the model; the backend serves the next request.
/// - Several concurrent requests all end.
/// - `embed` returns one vector per text in their order, all of the same length, and names the model; or it is
///   `Unsupported`.
/// - `load` of an available model succeeds and the model answers as before; of another it is `NotFound`.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ModelBackend: Debug + Send + Sync + 'static {
    /// Name of the backend: the technology, or a name given by the operator.
    fn name(&self) -> &str;

    /// Returns whether the backend can enforce this constraint.
    fn supports(&self, constraint: &Constraint) -> bool;

    /// Number of answers generated concurrently; `None` if unknown.
    fn slots(&self) -> Option<usize> {
        None
    }

    /// Lists the available models, in the backend's order of preference.
    async fn models(&self) -> Result<Vec<ModelInfo>>;

    /// Returns the permissions of a model, granted by stored measurements; `None` means the default model. A backend
    /// without stored measurements grants none.
    async fn permissions(&self, model: Option<String>) -> Result<ModelPermissions> {
        let (backend, model) = (self.name().to_owned(), model.unwrap_or_default());
        Ok(ModelPermissions { backend, model, ..ModelPermissions::default() })
    }

    /// Starts generating an answer to the request.
    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream>;

    /// Computes the embedding of each text.
    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let _ = (model, texts);
        Err(Error::unsupported(format!("{} makes no embeddings", self.name())))
    }

    /// Loads a model in advance so that its first request need not wait; `None` means the default model. Backends whose
    /// models are always ready only check that it exists.
    async fn load(&self, model: Option<String>) -> Result<()> {
        let models = self.models().await?;
        match model {
            Some(model) if models.iter().all(|there| there.name != model) => {
                Err(Error::new(ErrorKind::NotFound, format!("{} has no model {model}", self.name())))
            }
            _ => Ok(()),
        }
    }

    /// Downloads a model that is not available yet.
    async fn pull(&self, model: &str) -> Result<PullStream> {
        let _ = model;
        Err(Error::unsupported(format!("{} cannot pull models", self.name())))
    }
}

/// Convenience methods for every [`ModelBackend`].
#[async_trait]
pub trait ModelBackendExt: ModelBackend {
    /// Generates the whole answer and returns it with its usage.
    async fn complete(&self, request: GenerateRequest) -> Result<(String, ModelUsage)> {
        let mut stream = self.generate(request).await?;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match event? {
                ModelEvent::Text(piece) => text.push_str(&piece),
                ModelEvent::Done(usage) => return Ok((text, usage)),
            }
        }
        Err(Error::unavailable(format!("{} stopped answering without an end event", self.name())))
    }
}

impl<T: ModelBackend + ?Sized> ModelBackendExt for T {}
