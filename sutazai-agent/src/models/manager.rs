//! Model manager: one interface to all configured backends, which lists, pulls and selects models.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sutazai_core::domain::{
    Constraint, Embeddings, GenerateRequest, ModelInfo, ModelPermissions, ModelPurpose,
};
use sutazai_core::ports::{Clock, ModelBackend, ModelStream, PullProgress, PullStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::auto_pull::AutoPull;
use super::chain::{Attempt, FallbackChain};
use super::permissions::PermissionStore;

/// A [`ModelBackend`] over all configured backends: a [`FallbackChain`] that knows the default model.
///
/// A request that names no model gets the default model. When no backend has that one, the first available model
/// answers, and the end of the answer states the substitution. With an empty default, the first model that writes is the
/// default.
#[derive(Debug)]
pub struct ModelManager {
    chain: Arc<FallbackChain>,
    default_model: String,
    clock: Arc<dyn Clock>,
    auto_pull: Option<AutoPull>,
    permissions: Option<PermissionStore>,
}

/// Candidates of a request that names no model, and the problems found while listing them.
#[derive(Debug, Default)]
struct Plan {
    /// Number of backends that listed their models.
    reached: usize,
    /// Backends that have the default model.
    with_default: Vec<Attempt>,
    /// Backends that listed models without the default one, each with its first model.
    others: Vec<Attempt>,
    /// Backends that failed to list their models. They are tried last, since they may have recovered.
    unlisted: Vec<Attempt>,
    /// Problems to be reported at the end of the answer.
    notes: Vec<String>,
}

impl ModelManager {
    /// Creates a manager over `backends`, in order of preference; `default_model` serves requests that name no model.
    pub fn new(backends: Vec<Arc<dyn ModelBackend>>, default_model: &str, clock: Arc<dyn Clock>) -> Self {
        let chain = Arc::new(FallbackChain::new(backends, clock.clone()));
        Self { chain, default_model: default_model.to_owned(), clock, auto_pull: None, permissions: None }
    }

    /// Sets the store of measured permissions. Without one, models have no permissions.
    #[must_use]
    pub fn with_permissions(mut self, store: PermissionStore) -> Self {
        self.permissions = Some(store);
        self
    }

    /// Returns the model that a request for `model` would reach first; `None` stands for the default.
    ///
    /// # Errors
    /// `NotFound` when no backend has it; the combined error when no backend could list its models.
    pub async fn answering(&self, model: Option<String>) -> Result<ModelInfo> {
        let models = self.chain.models().await?;
        let wanted = model.as_deref().unwrap_or(&self.default_model);
        let mut found = models.iter().find(|there| there.is_called(wanted));
        if model.is_none() {
            found = found.or(self.substitute(&models));
        }
        found
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("no backend has the model {wanted}")))
    }

    /// Sets whether the first backend that can pull fetches a default model that no reachable backend has; off by
    /// default. Models named by requests are never pulled: callers do not decide what fills the disk.
    #[must_use]
    pub fn auto_pull(mut self, on: bool) -> Self {
        let pull = || AutoPull::new(&self.default_model, self.chain.clone(), self.clock.clone());
        self.auto_pull = (on && !self.default_model.is_empty()).then(pull);
        self
    }

    /// Pulls the default model if no reachable backend has it and pulling is enabled, and reports the progress.
    ///
    /// Requests trigger the same pull; call this first where a user watches.
    ///
    /// # Errors
    /// Any error of the pull.
    pub async fn pull_missing(&self, report: impl Fn(&PullProgress)) -> Result<()> {
        match &self.auto_pull {
            Some(pull) if self.listed().await.lacks_default() => pull.wait(report).await,
            _ => Ok(()),
        }
    }

    /// Sleeps for `timeout`, or forever without one.
    async fn time_out(&self, timeout: Option<Duration>) {
        match timeout {
            Some(timeout) => self.clock.sleep(timeout).await,
            None => std::future::pending().await,
        }
    }

    /// Lists the models of all backends and sorts the backends into a plan.
    async fn listed(&self) -> Plan {
        let mut plan = Plan::default();
        for (link, listed) in self.chain.listings().await.into_iter().enumerate() {
            let models = match listed {
                Ok(models) => models,
                Err(e) => {
                    plan.notes.push(e.public_text());
                    let model = Some(self.default_model.clone()).filter(|name| !name.is_empty());
                    plan.unlisted.push(Attempt { link, model });
                    continue;
                }
            };
            plan.reached += 1;
            let names = |model: &&ModelInfo| model.is_called(&self.default_model);
            if let Some(model) = models.iter().find(names) {
                plan.with_default.push(Attempt { link, model: Some(model.name.clone()) });
            } else if let Some(first) = self.substitute(&models) {
                plan.others.push(Attempt { link, model: Some(first.name.clone()) });
            }
        }
        plan
    }

    /// Returns the model of a backend that answers in place of the default one.
    fn substitute<'a>(&self, models: &'a [ModelInfo]) -> Option<&'a ModelInfo> {
        let writes = |model: &&ModelInfo| model.purpose != Some(ModelPurpose::Embed);
        // A default that is named was chosen by somebody: the error then says why none of the others can answer.
        if self.default_model.is_empty() { models.iter().find(writes) } else { models.first() }
    }

    /// Returns the attempts in order, and notes on problems. A missing default model is pulled first when that is
    /// enabled; if the pull fails, the models that are present answer.
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
        if attempts.is_empty() && !self.default_model.is_empty() {
            notes.push(format!("no backend has the model {}", self.default_model));
        }
        attempts.extend(others);
        attempts.extend(unlisted);
        if attempts.is_empty() && !self.chain.is_empty() {
            let message = match self.default_model.as_str() {
                "" => "the backends have no model that writes".to_owned(),
                model => format!("no model {model}: the backends have no models"),
            };
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok((attempts, notes))
    }
}

impl Plan {
    /// Returns whether backends were reached and none has the default model. If none was reached, no backend could pull
    /// it either.
    fn lacks_default(&self) -> bool {
        self.reached > 0 && self.with_default.is_empty()
    }
}

/// Reads the permissions of a model; a model that was not measured has none, and a note.
fn permissions(store: &PermissionStore, model: &ModelInfo) -> ModelPermissions {
    let none = ModelPermissions::none(model);
    match store.of(model) {
        Ok(Some(measured)) => ModelPermissions { granted: measured.granted, ..none },
        Ok(None) => {
            let name = &model.name;
            let note = format!("the model {name} was not measured: run `sutazai models check {name}` once");
            ModelPermissions { note: Some(note), ..none }
        }
        Err(e) => ModelPermissions { note: Some(e.public_text()), ..none },
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
        let mut found = self.permissions_of(&[info]).await?;
        found.pop().ok_or_else(|| Error::internal("the permissions of a model were not read"))
    }

    async fn permissions_of(&self, models: &[ModelInfo]) -> Result<Vec<ModelPermissions>> {
        let models = models.to_vec();
        let Some(store) = self.permissions.clone() else {
            return Ok(models.iter().map(ModelPermissions::none).collect());
        };
        let read = move || models.iter().map(|model| permissions(&store, model)).collect();
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|e| Error::internal("reading the permissions failed").with_source(e))
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
