//! The models of all configured backends as one: lists them, pulls them, and chooses one where a request names none.

use std::sync::Arc;

use async_trait::async_trait;
use sutazai_core::domain::{Constraint, Embeddings, GenerateRequest, ModelInfo};
use sutazai_core::ports::{Clock, ModelBackend, ModelStream, PullStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::chain::{Attempt, FallbackChain};

/// A [`ModelBackend`] over all that are configured: a [`FallbackChain`] that knows the default model. Where no backend
/// has that one, the first model that is there answers, and the end of the answer says so.
#[derive(Debug)]
pub struct ModelManager {
    chain: FallbackChain,
    default_model: String,
}

impl ModelManager {
    /// Over these backends in this order of preference, with this model where a request names none.
    pub fn new(backends: Vec<Arc<dyn ModelBackend>>, default_model: &str, clock: Arc<dyn Clock>) -> Self {
        Self { chain: FallbackChain::new(backends, clock), default_model: default_model.to_owned() }
    }

    /// What to try in which order: backends with the default model, then the others with their first model, then those
    /// that did not list any. And what is amiss, for the end of the answer.
    async fn plan(&self) -> Result<(Vec<Attempt>, Vec<String>)> {
        let (mut attempts, mut others, mut unlisted, mut notes) = (vec![], vec![], vec![], vec![]);
        for (link, listed) in self.chain.listings().await.into_iter().enumerate() {
            let models = match listed {
                Ok(models) => models,
                Err(e) => {
                    notes.push(e.to_string());
                    // Asked all the same if nobody else can answer: it may have come back meanwhile.
                    unlisted.push(Attempt { link, model: Some(self.default_model.clone()) });
                    continue;
                }
            };
            let names = |model: &&ModelInfo| is_called(&model.name, &self.default_model);
            if let Some(model) = models.iter().find(names) {
                attempts.push(Attempt { link, model: Some(model.name.clone()) });
            } else if let Some(first) = models.first() {
                others.push(Attempt { link, model: Some(first.name.clone()) });
            }
        }
        if attempts.is_empty() {
            notes.push(format!("no backend has the model {}", self.default_model));
        }
        attempts.extend(others);
        attempts.extend(unlisted);
        if attempts.is_empty() && !self.chain.is_empty() {
            let message = format!("no model {}: the backends have none at all", self.default_model);
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok((attempts, notes))
    }
}

#[async_trait]
impl ModelBackend for ModelManager {
    fn name(&self) -> &str {
        "models"
    }

    fn supports(&self, constraint: &Constraint) -> bool {
        self.chain.supports(constraint)
    }

    fn slots(&self) -> Option<usize> {
        self.chain.slots()
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        self.chain.models().await
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        if request.model.is_some() {
            return self.chain.generate(request).await;
        }
        let (attempts, notes) = self.plan().await?;
        self.chain.run(attempts, request, notes).await
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        self.chain.embed(model, texts).await
    }

    async fn load(&self, model: Option<String>) -> Result<()> {
        match model {
            Some(_) => self.chain.load(model).await,
            None => self.chain.load_first(self.plan().await?.0).await,
        }
    }

    async fn pull(&self, model: &str) -> Result<PullStream> {
        self.chain.pull(model).await
    }
}

/// Whether a listed model is the one meant: Ollama lists `tinyllama:latest` for what people call `tinyllama`.
fn is_called(listed: &str, wanted: &str) -> bool {
    listed == wanted || listed.strip_suffix(":latest") == Some(wanted)
}
