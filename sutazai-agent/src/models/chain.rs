//! Several backends as one: the first that can answer does.
//!
//! Before a backend is asked, its breaker is; what one refuses or fails at goes on to the next, as long as no text was
//! passed on. Text of two models is never put together: who breaks off in the middle breaks off the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::join_all;
use futures::{StreamExt, stream};
use sutazai_core::domain::{Constraint, GenerateRequest, ModelEvent, ModelInfo};
use sutazai_core::ports::{Clock, ModelBackend, ModelStream, PullStream};
use sutazai_core::{Error, ErrorKind, Result};

use super::breaker::{BreakerState, CircuitBreaker, Permit};

/// A server that does not list its models within this is passed over.
const LISTING: Duration = Duration::from_secs(3);

/// A [`ModelBackend`] over several, each behind a [`CircuitBreaker`]. An answer that is not from the first says why
/// in [`ModelUsage::degraded`](sutazai_core::domain::ModelUsage::degraded).
#[derive(Debug)]
pub struct FallbackChain {
    links: Vec<Link>,
}

#[derive(Debug)]
struct Link {
    backend: Arc<dyn ModelBackend>,
    breaker: Arc<CircuitBreaker>,
}

/// One thing to try: a backend by its place in the chain, and the model to ask of it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) link: usize,
    pub(super) model: Option<String>,
}

impl FallbackChain {
    /// In this order of preference.
    pub fn new(backends: Vec<Arc<dyn ModelBackend>>, clock: Arc<dyn Clock>) -> Self {
        let link = |backend| Link { backend, breaker: Arc::new(CircuitBreaker::new(clock.clone())) };
        Self { links: backends.into_iter().map(link).collect() }
    }

    /// Whether there is no backend at all.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// What each backend has, in the order of the chain; asked side by side.
    pub(super) async fn listings(&self) -> Vec<Result<Vec<ModelInfo>>> {
        join_all(self.links.iter().map(|link| async {
            let permit = link.permit()?;
            let late = || {
                Error::timeout(format!("{} did not list its models within {LISTING:?}", link.backend.name()))
            };
            let listed =
                tokio::time::timeout(LISTING, link.backend.models()).await.unwrap_or_else(|_| Err(late()));
            // Who lists models proves no more than that it can do that: only an answer closes a circuit.
            if let Err(e) = &listed {
                permit.settle(Some(e.kind()));
            }
            listed
        }))
        .await
    }

    /// The answer of the first attempt that succeeds. `notes` say what went wrong before.
    pub(super) async fn run(
        &self,
        attempts: Vec<Attempt>,
        request: GenerateRequest,
        mut notes: Vec<String>,
    ) -> Result<ModelStream> {
        let begun = Instant::now();
        let mut failures = Vec::new();
        for attempt in attempts {
            let Some(link) = self.links.get(attempt.link) else { continue };
            let mut request = GenerateRequest { model: attempt.model, ..request.clone() };
            if let Some(timeout) = &mut request.timeout {
                *timeout = timeout.saturating_sub(begun.elapsed());
            }
            match link.begin(request).await {
                Ok((first, rest, permit)) => return Ok(follow(first, rest, permit, notes)),
                Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Cancelled) => {
                    return Err(e);
                }
                Err(e) => {
                    notes.push(e.to_string());
                    failures.push(e);
                }
            }
        }
        Err(all_failed(failures))
    }

    /// Loads the model of the first attempt that can be.
    pub(super) async fn load_first(&self, attempts: Vec<Attempt>) -> Result<()> {
        let mut failures = Vec::new();
        for attempt in attempts {
            let Some(link) = self.links.get(attempt.link) else { continue };
            match link.load(attempt.model).await {
                Ok(()) => return Ok(()),
                Err(e) => failures.push(e),
            }
        }
        Err(all_failed(failures))
    }

    /// Every backend in order, with this model.
    fn all(&self, model: Option<String>) -> Vec<Attempt> {
        (0..self.links.len()).map(|link| Attempt { link, model: model.clone() }).collect()
    }
}

#[async_trait]
impl ModelBackend for FallbackChain {
    fn name(&self) -> &str {
        "chain"
    }

    /// Whether the first backend that calls go through to can enforce it: callers choose their constraint by the answer,
    /// and the order of the backends is the operator's. One that is denied here goes to a later backend that can.
    fn supports(&self, constraint: &Constraint) -> bool {
        let open = |link: &&Link| link.breaker.state() == BreakerState::Open;
        let link = self.links.iter().find(|link| !open(link)).or(self.links.first());
        link.is_some_and(|link| link.backend.supports(constraint))
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        let mut models = Vec::new();
        let mut failures = Vec::new();
        for listed in self.listings().await {
            match listed {
                Ok(listed) => models.extend(listed),
                Err(e) => failures.push(e),
            }
        }
        if models.is_empty() && !failures.is_empty() { Err(all_failed(failures)) } else { Ok(models) }
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        self.run(self.all(request.model.clone()), request, Vec::new()).await
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Vec<Vec<f32>>> {
        let mut failures = Vec::new();
        for link in &self.links {
            let answer = match link.permit() {
                Err(e) => Err(e),
                Ok(permit) => {
                    let answer = link.backend.embed(model.clone(), texts).await;
                    permit.settle(answer.as_ref().err().map(Error::kind));
                    answer
                }
            };
            match answer {
                Ok(embeddings) => return Ok(embeddings),
                Err(e) => failures.push(e),
            }
        }
        Err(all_failed(failures))
    }

    async fn load(&self, model: Option<String>) -> Result<()> {
        self.load_first(self.all(model)).await
    }

    /// By the first backend that can pull at all.
    async fn pull(&self, model: &str) -> Result<PullStream> {
        let mut failures = Vec::new();
        for link in &self.links {
            match link.backend.pull(model).await {
                Err(e) if e.kind() == ErrorKind::Unsupported => failures.push(e),
                answer => return answer,
            }
        }
        Err(all_failed(failures))
    }
}

impl Link {
    fn permit(&self) -> Result<Permit> {
        self.breaker.permit().map_err(|e| {
            let after = e.retry_after().unwrap_or_default();
            Error::unavailable(format!("{}: {}", self.backend.name(), e.message())).with_retry_after(after)
        })
    }

    async fn load(&self, model: Option<String>) -> Result<()> {
        let permit = self.permit()?;
        let loaded = self.backend.load(model).await;
        permit.settle(loaded.as_ref().err().map(Error::kind));
        loaded
    }

    /// The first event of an answer, for only then is it known that there will be one.
    async fn begin(&self, request: GenerateRequest) -> Result<(ModelEvent, ModelStream, Permit)> {
        if let Some(constraint) = &request.constraint
            && !self.backend.supports(constraint)
        {
            return Err(Error::unsupported(format!(
                "{} cannot enforce such a constraint",
                self.backend.name()
            )));
        }
        let permit = self.permit()?;
        let begun = async {
            let mut stream = self.backend.generate(request).await?;
            let ended = || Error::unavailable(format!("{} gave no answer", self.backend.name()));
            let first = stream.next().await.ok_or_else(ended)??;
            Ok((first, stream))
        };
        match begun.await {
            Ok((first, rest)) => Ok((first, rest, permit)),
            Err(e) => {
                permit.settle(Some(Error::kind(&e)));
                Err(e)
            }
        }
    }
}

/// Passes the answer on, tells the breaker how it ended, and its end why it is not from the first choice.
fn follow(first: ModelEvent, rest: ModelStream, permit: Permit, notes: Vec<String>) -> ModelStream {
    let mut permit = Some(permit);
    let mut degraded = (!notes.is_empty()).then(|| notes.join("; "));
    stream::once(std::future::ready(Ok(first)))
        .chain(rest)
        .map(move |event| {
            let mut settle = |failure| {
                if let Some(permit) = permit.take() {
                    permit.settle(failure);
                }
            };
            match event {
                Ok(ModelEvent::Done(mut usage)) => {
                    settle(None);
                    usage.degraded = degraded.take().or(usage.degraded);
                    Ok(ModelEvent::Done(usage))
                }
                Ok(text) => Ok(text),
                Err(e) => {
                    settle(Some(e.kind()));
                    Err(e)
                }
            }
        })
        .boxed()
}

/// One error for all: of their common kind, or `Unavailable`.
fn all_failed(mut failures: Vec<Error>) -> Error {
    if failures.len() == 1 {
        return failures.remove(0);
    }
    let Some(first) = failures.first().map(Error::kind) else {
        return Error::unavailable("no model backend is configured").with_field("MODEL_BACKENDS");
    };
    let kind = if failures.iter().all(|e| e.kind() == first) { first } else { ErrorKind::Unavailable };
    let says: Vec<_> = failures.iter().map(|e| e.message()).collect();
    let error = Error::new(kind, format!("no model backend could answer: {}", says.join("; ")));
    match failures.iter().filter_map(Error::retry_after).min() {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}
