//! Several backends as one: the first that can answer does.
//!
//! Before a backend is asked, its breaker is. A call that fails in passing is repeated with backoff ([`Retry`]); what a
//! backend refuses or still fails at goes on to the next, as long as no text was passed on. Text of two models, or of two
//! attempts, is never put together: a model that breaks off in the middle ends the answer.

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

/// A server that does not list its models within this is passed over.
const LISTING: Duration = Duration::from_secs(3);

/// A [`ModelBackend`] over several, each behind a [`CircuitBreaker`]. An answer that is not from the first says why
/// in [`ModelUsage::degraded`](sutazai_core::domain::ModelUsage::degraded).
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

/// One thing to try: a backend by its place in the chain, and the model to ask of it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) link: usize,
    pub(super) model: Option<String>,
}

impl FallbackChain {
    /// In this order of preference.
    pub fn new(backends: Vec<Arc<dyn ModelBackend>>, clock: Arc<dyn Clock>) -> Self {
        let link = |backend: Arc<dyn ModelBackend>| Link {
            breaker: Arc::new(CircuitBreaker::new(backend.name(), clock.clone())),
            backend,
        };
        Self { links: backends.into_iter().map(link).collect(), clock }
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
            let listing = self.retry(&permit, None).run(link.backend.name(), |_| link.backend.models());
            let listed = tokio::time::timeout(LISTING, listing).await.unwrap_or_else(|_| Err(late()));
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

    /// Loads the model of the first attempt that can be.
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

    /// The attempts of one call: a half-open circuit is tried by one only.
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

    /// The first event of an answer, for only then is it known that there will be one.
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

    /// Those of the first backend that says so: it gets most of the requests.
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
}

/// A call that is under way: leave for it, and its place in the trace.
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

/// Passes the answer on, tells the breaker and the trace how it ended, and its end why it is not from the first choice.
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

/// One error for all: of their common kind, or `Unavailable`. Who does not have the model says nothing of those who do.
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
