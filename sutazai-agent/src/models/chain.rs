//! Fallback across several model backends: the first backend that can answer does.
//!
//! Each call to a backend first needs a permit of its circuit breaker. A transient failure is retried with backoff
//! ([`Retry`]). When a backend refuses or keeps failing, the request goes to the next one, as long as no text has been
//! passed on. Text of two models, or of two attempts, is never concatenated: a failure in the middle of an answer ends
//! the answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use futures::{StreamExt, stream};
use sutazai_core::domain::{Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo, ModelUsage};
use sutazai_core::ports::{Clock, ModelBackend, ModelStream, PullStream};
use sutazai_core::{Error, ErrorKind, Result, trace};
use tracing::Span;

use super::breaker::{BreakerState, CircuitBreaker, Permit};
use super::retry::Retry;
use super::spans;

/// Time limit for listing the models of one backend; a backend that exceeds it is skipped.
const LISTING_TIMEOUT: Duration = Duration::from_secs(3);

/// A [`ModelBackend`] over several backends, each behind a [`CircuitBreaker`].
///
/// An answer that does not come from the first backend gives the reason in
/// [`ModelUsage::degraded`](sutazai_core::domain::ModelUsage::degraded).
#[derive(Debug)]
pub struct FallbackChain {
    links: Vec<Link>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Link {
    backend: Arc<dyn ModelBackend>,
    breaker: Arc<CircuitBreaker>,
}

/// One candidate of a request: a backend, by its index in the chain, and the model to request from it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) link: usize,
    pub(super) model: Option<String>,
}

impl FallbackChain {
    /// Creates a chain over `backends`, in order of preference.
    pub fn new(backends: Vec<Arc<dyn ModelBackend>>, clock: Arc<dyn Clock>) -> Self {
        let link = |backend: Arc<dyn ModelBackend>| Link {
            breaker: Arc::new(CircuitBreaker::new(backend.name(), clock.clone())),
            backend,
        };
        Self { links: backends.into_iter().map(link).collect(), clock }
    }

    /// Returns whether the chain has no backend.
    pub(super) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Lists the models of every backend concurrently; the results are in the order of the chain.
    pub(super) async fn listings(&self) -> Vec<Result<Vec<ModelInfo>>> {
        join_all(self.links.iter().map(|link| async {
            let permit = link.permit()?;
            let late = || {
                Error::timeout(format!(
                    "{} did not list its models within {LISTING_TIMEOUT:?}",
                    link.backend.name()
                ))
            };
            let listing = self.retry(&permit, None).run(link.backend.name(), |_| link.backend.models());
            let listed = tokio::time::timeout(LISTING_TIMEOUT, listing).await.unwrap_or_else(|_| Err(late()));
            // A successful listing settles nothing: it does not prove that the backend can generate, and only that
            // closes a circuit.
            if let Err(e) = &listed {
                permit.settle(Some(e.kind()));
            }
            listed
        }))
        .await
    }

    /// Returns the answer of the first attempt that succeeds. `notes` list earlier problems; they and those of failed
    /// attempts become the reason for a degraded answer.
    pub(super) async fn run(
        &self,
        attempts: Vec<Attempt>,
        request: GenerateRequest,
        mut notes: Vec<String>,
    ) -> Result<ModelStream> {
        let begun = self.clock.now();
        let mut failures = Vec::new();
        for attempt in attempts {
            let Some(link) = self.links.get(attempt.link) else { continue };
            let mut request = GenerateRequest { model: attempt.model, ..request.clone() };
            if let Some(timeout) = &mut request.timeout {
                *timeout = timeout.saturating_sub((self.clock.now() - begun).to_std().unwrap_or_default());
            }
            match self.begin(link, request).await {
                Ok((first, rest, call)) => return Ok(follow(first, rest, call, notes)),
                // An invalid or cancelled request would fail at every other backend too.
                Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Cancelled) => {
                    return Err(e);
                }
                Err(e) => {
                    notes.push(e.public_text());
                    failures.push(e);
                }
            }
        }
        Err(all_failed(failures))
    }

    /// Loads the model of the first attempt that succeeds.
    pub(super) async fn load_first(&self, attempts: Vec<Attempt>) -> Result<()> {
        let mut failures = Vec::new();
        for attempt in attempts {
            let Some(link) = self.links.get(attempt.link) else { continue };
            match self.load_by(link, attempt.model).await {
                Ok(()) => return Ok(()),
                Err(e) => failures.push(e),
            }
        }
        Err(all_failed(failures))
    }

    /// Returns the retry policy of one call: a trial call of a half-open circuit is made once, others are retried.
    fn retry(&self, permit: &Permit, timeout: Option<Duration>) -> Retry<'_> {
        let retry = Retry::new(&*self.clock, timeout);
        if permit.is_trial() { retry.once() } else { retry }
    }

    async fn load_by(&self, link: &Link, model: Option<String>) -> Result<()> {
        let permit = link.permit()?;
        let retry = self.retry(&permit, None);
        let loaded = retry.run(link.backend.name(), |_| link.backend.load(model.clone())).await;
        permit.settle(loaded.as_ref().err().map(Error::kind));
        loaded
    }

    /// Starts an answer and waits for its first event, since until then the backend may still refuse and the next one
    /// can be tried.
    async fn begin(&self, link: &Link, request: GenerateRequest) -> Result<(ModelEvent, ModelStream, Call)> {
        let backend = &link.backend;
        if let Some(constraint) = &request.constraint
            && !backend.supports(constraint)
        {
            return Err(Error::unsupported(format!("{} cannot enforce such a constraint", backend.name())));
        }
        let permit = link.permit()?;
        let retry = self.retry(&permit, request.timeout);
        let call = Call { permit, span: spans::chat(backend.name(), &request) };
        let begun = retry.run(backend.name(), |timeout| {
            let request = GenerateRequest { timeout, ..request.clone() };
            async {
                let mut stream = backend.generate(request).await?;
                let ended = || Error::unavailable(format!("{} gave no answer", backend.name()));
                let first = stream.next().await.ok_or_else(ended)??;
                Ok((first, stream))
            }
        });
        match trace::within(call.span.clone(), begun).await {
            Ok((first, rest)) => Ok((first, rest, call)),
            Err(e) => {
                call.failed(&e);
                Err(e)
            }
        }
    }

    /// Lists one attempt a backend, in order, each with `model`.
    fn all(&self, model: Option<String>) -> Vec<Attempt> {
        (0..self.links.len()).map(|link| Attempt { link, model: model.clone() }).collect()
    }
}

#[async_trait]
impl ModelBackend for FallbackChain {
    fn name(&self) -> &str {
        "chain"
    }

    /// Returns whether the first backend whose circuit is not open can enforce `constraint`.
    ///
    /// Callers choose a constraint by this answer, and the operator's order decides which backend most requests reach.
    /// A request with a constraint that this backend lacks still falls through to a later backend that has it.
    fn supports(&self, constraint: &Constraint) -> bool {
        let open = |link: &&Link| link.breaker.state() == BreakerState::Open;
        let link = self.links.iter().find(|link| !open(link)).or(self.links.first());
        link.is_some_and(|link| link.backend.supports(constraint))
    }

    /// Returns the slots of the first backend that reports any, since that one receives most of the requests.
    fn slots(&self) -> Option<usize> {
        self.links.iter().find_map(|link| link.backend.slots())
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

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let mut failures = Vec::new();
        for link in &self.links {
            let answer = match link.permit() {
                Err(e) => Err(e),
                Ok(permit) => {
                    let span = spans::embeddings(link.backend.name(), model.as_deref());
                    let retry = self.retry(&permit, None);
                    let embedding =
                        retry.run(link.backend.name(), |_| link.backend.embed(model.clone(), texts));
                    let answer = trace::within(span.clone(), embedding)
                        .await
                        .inspect(|made| spans::embedded(&span, made))
                        .inspect_err(|e| spans::failed(&span, e));
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

    /// Pulls with the first backend that supports pulling.
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
}

/// A call in progress: its permit and its span.
struct Call {
    permit: Permit,
    span: Span,
}

impl Call {
    fn answered(self, usage: &ModelUsage) {
        spans::answered(&self.span, usage);
        self.permit.settle(None);
    }

    fn failed(self, error: &Error) {
        spans::failed(&self.span, error);
        self.permit.settle(Some(error.kind()));
    }
}

/// Forwards the answer, reports its outcome to the breaker and the span, and puts the reason for a fallback into the
/// final `Done`.
fn follow(first: ModelEvent, rest: ModelStream, call: Call, notes: Vec<String>) -> ModelStream {
    let mut call = Some(call);
    let mut degraded = (!notes.is_empty()).then(|| notes.join("; "));
    stream::once(std::future::ready(Ok(first)))
        .chain(rest)
        .map(move |event| match event {
            Ok(ModelEvent::Done(mut usage)) => {
                if let Some(call) = call.take() {
                    call.answered(&usage);
                }
                usage.degraded = degraded.take().or(usage.degraded);
                Ok(ModelEvent::Done(usage))
            }
            Ok(text) => Ok(text),
            Err(e) => {
                if let Some(call) = call.take() {
                    call.failed(&e);
                }
                Err(e)
            }
        })
        .boxed()
}

/// Combines `failures` into one error, of their common kind or else `Unavailable`. `NotFound` is ignored when there are
/// other errors: a backend without the model says nothing about those that have it.
fn all_failed(mut failures: Vec<Error>) -> Error {
    if failures.iter().any(|e| e.kind() != ErrorKind::NotFound) {
        failures.retain(|e| e.kind() != ErrorKind::NotFound);
    }
    if failures.len() == 1 {
        return failures.remove(0);
    }
    let Some(first) = failures.first().map(Error::kind) else {
        return Error::unavailable("no model backend is configured").with_field("MODEL_BACKENDS");
    };
    let kind = if failures.iter().all(|e| e.kind() == first) { first } else { ErrorKind::Unavailable };
    let says: Vec<_> = failures.iter().map(|e| e.message()).collect();
    let details: Vec<_> = failures.iter().filter_map(Error::detail).collect();
    let mut error = Error::new(kind, format!("no model backend could answer: {}", says.join("; ")));
    if let Some(field) = failures[0].field().filter(|field| failures.iter().all(|e| e.field() == Some(field)))
    {
        error = error.with_field(field);
    }
    if !details.is_empty() {
        error = error.with_detail(details.join("; "));
    }
    match failures.iter().filter_map(Error::retry_after).min() {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}
