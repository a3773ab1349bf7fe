//! Language models.

use std::fmt::Debug;
use std::pin::Pin;

use async_trait::async_trait;
use futures::{Stream, StreamExt};

use crate::domain::{
    Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo, ModelPermissions, ModelUsage,
};
use crate::error::{Error, ErrorKind, Result};

/// A streamed answer: text pieces, then exactly one `Done`; or an error, then nothing. Dropping it stops the model.
pub type ModelStream = Pin<Box<dyn Stream<Item = Result<ModelEvent>> + Send>>;

/// How far a pull has got.
#[derive(Debug, Clone, PartialEq)]
pub struct PullProgress {
    /// What is being done.
    pub status: String,
    /// Bytes that are there.
    pub completed_bytes: Option<u64>,
    /// Bytes that there will be.
    pub total_bytes: Option<u64>,
}

impl PullProgress {
    /// How far the present step is, 0.0 to 1.0; 0.0 where the backend does not say.
    pub fn fraction(&self) -> f32 {
        match (self.completed_bytes, self.total_bytes) {
            (Some(completed), Some(total)) if total > 0 => (completed as f64 / total as f64).min(1.0) as f32,
            _ => 0.0,
        }
    }
}

/// The progress of a pull; ends when the model is there, or with an error.
pub type PullStream = Pin<Box<dyn Stream<Item = Result<PullProgress>> + Send>>;

/// Something that runs language models.
///
/// # Contract
/// - `models` lists what is really there; a backend that cannot be reached is `Unavailable`.
/// - `generate` streams text pieces and then exactly one `Done`, which names the backend and the model and counts the tokens.
/// - `max_tokens` bounds the answer, and the finish reason then is `Length`.
/// - An unknown model is `NotFound` and names what there is.
/// - A JSON Schema is enforced, or the answer is an error: what ends with `Stop` fits the schema.
/// - A constraint that `supports` denies is `Unsupported`.
/// - When the request's timeout runs out the stream ends with `Timeout`.
/// - Dropping the stream stops the model; the backend serves the next request.
/// - Several requests at once all end.
/// - `embed` gives one vector a text, in their order, all of one length, and says which model made them; or it is `Unsupported`.
/// - `load` of a model that is there succeeds and the model answers as before; of another it is `NotFound`.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ModelBackend: Debug + Send + Sync + 'static {
    /// Its name: the technology, or whatever the operator called it.
    fn name(&self) -> &str;

    /// Whether it can enforce such a constraint.
    fn supports(&self, constraint: &Constraint) -> bool;

    /// How many answers it writes at once; none where it does not know.
    fn slots(&self) -> Option<usize> {
        None
    }

    /// The models that are there, in its own order of preference.
    async fn models(&self) -> Result<Vec<ModelInfo>>;

    /// What a model may do, by the measurements that are stored; the model that would answer when none is named. A
    /// backend without stored measurements grants nothing.
    async fn permissions(&self, model: Option<String>) -> Result<ModelPermissions> {
        let (backend, model) = (self.name().to_owned(), model.unwrap_or_default());
        Ok(ModelPermissions { backend, model, ..ModelPermissions::default() })
    }

    /// Begins to write.
    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream>;

    /// The embedding of each text.
    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let _ = (model, texts);
        Err(Error::unsupported(format!("{} makes no embeddings", self.name())))
    }

    /// Makes a model ready, so that its first request need not wait for that; the one that would answer when none is
    /// named. Where models are ready all the time there is nothing to do but to see that it is there.
    async fn load(&self, model: Option<String>) -> Result<()> {
        let models = self.models().await?;
        match model {
            Some(model) if models.iter().all(|there| there.name != model) => {
                Err(Error::new(ErrorKind::NotFound, format!("{} has no model {model}", self.name())))
            }
            _ => Ok(()),
        }
    }

    /// Fetches a model that is not there yet.
    async fn pull(&self, model: &str) -> Result<PullStream> {
        let _ = model;
        Err(Error::unsupported(format!("{} cannot pull models", self.name())))
    }
}

/// Conveniences over a [`ModelBackend`].
#[async_trait]
pub trait ModelBackendExt: ModelBackend {
    /// The whole answer at once.
    async fn complete(&self, request: GenerateRequest) -> Result<(String, ModelUsage)> {
        let mut stream = self.generate(request).await?;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match event? {
                ModelEvent::Text(piece) => text.push_str(&piece),
                ModelEvent::Done(usage) => return Ok((text, usage)),
            }
        }
        Err(Error::unavailable(format!("{} ended its answer without saying so", self.name())))
    }
}

impl<T: ModelBackend + ?Sized> ModelBackendExt for T {}
