//! The models of all configured backends as one: lists them, pulls them, and chooses one where a request names none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sutazai_core::domain::{Constraint, Embeddings, GenerateRequest, ModelInfo, ModelPermissions};
use sutazai_core::ports::{Clock, ModelBackend, ModelStream, PullProgress, PullStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::auto_pull::AutoPull;
use super::chain::{Attempt, FallbackChain};
use super::permissions::PermissionStore;

/// A [`ModelBackend`] over all that are configured: a [`FallbackChain`] that knows the default model. Where no backend
/// has that one, the first model that is there answers, and the end of the answer says so.
#[derive(Debug)]
pub struct ModelManager {
    chain: Arc<FallbackChain>,
    default_model: String,
    clock: Arc<dyn Clock>,
    auto_pull: Option<AutoPull>,
    permissions: Option<PermissionStore>,
}

/// What to try in which order, and what is amiss.
#[derive(Debug, Default)]
struct Plan {
    /// How many backends listed their models.
    reached: usize,
    /// Backends with the default model.
    with_default: Vec<Attempt>,
    /// The other backends that listed models, with the first one of each.
    others: Vec<Attempt>,
    /// Backends that did not list any. They are asked all the same if nobody else can answer: one may have come back.
    unlisted: Vec<Attempt>,
    /// For the end of the answer.
    notes: Vec<String>,
}

impl ModelManager {
    /// Over these backends in this order of preference, with this model where a request names none.
    pub fn new(backends: Vec<Arc<dyn ModelBackend>>, default_model: &str, clock: Arc<dyn Clock>) -> Self {
        let chain = Arc::new(FallbackChain::new(backends, clock.clone()));
        Self { chain, default_model: default_model.to_owned(), clock, auto_pull: None, permissions: None }
    }

    /// With stored measurements of what models may do; without, no model may do anything.
    pub fn with_permissions(mut self, store: PermissionStore) -> Self {
        self.permissions = Some(store);
        self
    }

    /// The model that a request which names this one, or none, would go to first.
    ///
    /// # Errors
    /// `NotFound` where there is none; what failed where no backend could list its models.
    pub async fn answering(&self, model: Option<String>) -> Result<ModelInfo> {
        let models = self.chain.models().await?;
        let wanted = model.as_deref().unwrap_or(&self.default_model);
        let mut found = models.iter().find(|there| there.is_called(wanted));
        if model.is_none() {
            found = found.or(models.first());
        }
        found
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no backend has the model {wanted}")))
    }

    /// Sets whether a default model that no reachable backend has is pulled by the first backend that can; off unless set.
    /// Models that requests name are never pulled: callers do not decide what fills the disk.
    pub fn with_auto_pull(mut self, on: bool) -> Self {
        let pull = || AutoPull::new(&self.default_model, self.chain.clone(), self.clock.clone());
        self.auto_pull = on.then(pull);
        self
    }

    /// Pulls the default model if no reachable backend has it and that is allowed, and reports the progress. Requests do so
    /// by themselves; call it first where somebody watches.
    ///
    /// # Errors
    /// Those of the pull.
    pub async fn pull_missing(&self, report: impl Fn(&PullProgress)) -> Result<()> {
        match &self.auto_pull {
            Some(pull) if self.listed().await.lacks_default() => pull.wait(report).await,
            _ => Ok(()),
        }
    }

    /// Returns once this time is over; never without a limit.
    async fn time_out(&self, timeout: Option<Duration>) {
        match timeout {
            Some(timeout) => self.clock.sleep(timeout).await,
            None => std::future::pending().await,
        }
    }

    /// What the backends say they have now.
    async fn listed(&self) -> Plan {
        let mut plan = Plan::default();
        for (link, listed) in self.chain.listings().await.into_iter().enumerate() {
            let models = match listed {
                Ok(models) => models,
                Err(e) => {
                    plan.notes.push(e.public_text());
                    plan.unlisted.push(Attempt { link, model: Some(self.default_model.clone()) });
                    continue;
                }
            };
            plan.reached += 1;
            let names = |model: &&ModelInfo| model.is_called(&self.default_model);
            if let Some(model) = models.iter().find(names) {
                plan.with_default.push(Attempt { link, model: Some(model.name.clone()) });
            } else if let Some(first) = models.first() {
                plan.others.push(Attempt { link, model: Some(first.name.clone()) });
            }
        }
        plan
    }

    /// What to try in which order, and notes on what is amiss. A missing default model is pulled first where that is
    /// allowed; what there is answers when the pull fails.
    async fn plan(&self, timeout: Option<Duration>) -> Result<(Vec<Attempt>, Vec<String>)> {
        let mut plan = self.listed().await;
        if let Some(pull) = &self.auto_pull
            && plan.lacks_default()
        {
            let outcome = tokio::select! {
                outcome = pull.wait(|_| {}) => outcome,
                () = self.time_out(timeout) => {
                    let model = &self.default_model;
                    return Err(Error::timeout(format!("the model {model} was still being pulled")));
                }
            };
            match outcome {
                Ok(()) => plan = self.listed().await,
                Err(e) => plan.notes.push(e.public_text()),
            }
        }
        let Plan { with_default: mut attempts, others, unlisted, mut notes, reached: _ } = plan;
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

impl Plan {
    /// Whether backends were reached and none of them has the default model. Where none was reached nobody could pull it.
    fn lacks_default(&self) -> bool {
        self.reached > 0 && self.with_default.is_empty()
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

    async fn permissions(&self, model: Option<String>) -> Result<ModelPermissions> {
        let info = self.answering(model).await?;
        let mut permissions = ModelPermissions {
            backend: info.backend.clone(),
            model: info.name.clone(),
            ..ModelPermissions::default()
        };
        let Some(store) = self.permissions.clone() else { return Ok(permissions) };
        let name = info.name.clone();
        let measured = tokio::task::spawn_blocking(move || store.of(&info)).await;
        let measured =
            measured.map_err(|e| Error::internal("reading the permissions failed").with_source(e))?;
        match measured {
            Ok(Some(measured)) => permissions.granted = measured.granted,
            Ok(None) => {
                let note =
                    format!("the model {name} was not measured: run `sutazai models check {name}` once");
                permissions.note = Some(note);
            }
            Err(e) => permissions.note = Some(e.public_text()),
        }
        Ok(permissions)
    }

    async fn generate(&self, mut request: GenerateRequest) -> Result<ModelStream> {
        if request.model.is_some() {
            return self.chain.generate(request).await;
        }
        let begun = self.clock.now();
        let (attempts, notes) = self.plan(request.timeout).await?;
        if let Some(timeout) = &mut request.timeout {
            *timeout = timeout.saturating_sub((self.clock.now() - begun).to_std().unwrap_or_default());
        }
        self.chain.run(attempts, request, notes).await
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        self.chain.embed(model, texts).await
    }

    async fn load(&self, model: Option<String>) -> Result<()> {
        match model {
            Some(_) => self.chain.load(model).await,
            None => self.chain.load_first(self.plan(None).await?.0).await,
        }
    }

    async fn pull(&self, model: &str) -> Result<PullStream> {
        self.chain.pull(model).await
    }
}
