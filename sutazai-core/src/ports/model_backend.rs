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
///
/// # Errors
/// `Unavailable` if the backend cannot be reached; `NotFound` naming the available models for an unknown model;
/// `Unsupported` for a request that the backend cannot handle; `Timeout` when the timeout of a request expires.
///
/// # Cancel safety
/// Dropping a future or a stream abandons the request and stops the generation of text; loading a model, downloading
/// one and computing embeddings may continue in the backend without a receiver.
///
/// # Examples
///
/// ```
/// use async_trait::async_trait;
/// use futures::stream;
/// use sutazai_core::Result;
/// use sutazai_core::domain::{
///     ChatMessage, Constraint, FinishReason, GenerateRequest, ModelEvent, ModelInfo, ModelUsage,
/// };
/// use sutazai_core::ports::{ModelBackend, ModelBackendExt, ModelStream};
///
/// /// Repeats the last message.
/// #[derive(Debug)]
/// struct Echo;
///
/// #[async_trait]
/// impl ModelBackend for Echo {
///     fn name(&self) -> &str {
///         "echo"
///     }
///
///     fn supports(&self, _: &Constraint) -> bool {
///         false
///     }
///
///     async fn models(&self) -> Result<Vec<ModelInfo>> {
///         Ok(vec![ModelInfo::new("parrot", "echo")])
///     }
///
///     async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
///         let text = request.messages.last().map(|message| message.content.clone()).unwrap_or_default();
///         let usage = ModelUsage {
///             backend: "echo".into(),
///             model: "parrot".into(),
///             prompt_tokens: 1,
///             completion_tokens: 1,
///             finish_reason: FinishReason::Stop,
///             refusal: None,
///             degraded: None,
///             fluency: None,
///         };
///         Ok(Box::pin(stream::iter([Ok(ModelEvent::Text(text)), Ok(ModelEvent::Done(usage))])))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let request = GenerateRequest::new(vec![ChatMessage::user("hello")]);
/// let (text, usage) = Echo.complete(request).await?;
/// assert_eq!((text.as_str(), usage.model.as_str()), ("hello", "parrot"));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
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

    /// Returns the permissions of each of these models, as [`models`](Self::models) lists them.
    async fn permissions_of(&self, models: &[ModelInfo]) -> Result<Vec<ModelPermissions>> {
        let none = |model: &ModelInfo| ModelPermissions::none(model);
        Ok(models.iter().map(none).collect())
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
///
/// # Errors
/// Those of [`ModelBackend::generate`] and of its stream; `Unavailable` if that ends without an end event.
///
/// # Cancel safety
/// Dropping the future stops the model.
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
