//! Admission control: the fair queue with a model behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::fair_queue::{PriorityClass, QueueEntry, Tenant};
use super::limits::{Holder, Limits};
use super::measurement::{Answered, Measurement};
use super::queue::{AdmissionQueue, Entry, ModelLoad};
use crate::domain::{
    Caller, Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo, ModelPermissions, UserId,
};
use crate::error::{Error, Result};
use crate::ports::{Clock, ModelBackend, ModelStream, PullStream};

/// Limits of admission control.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdmissionControlConfig {
    /// Number of concurrent answers; `None`: as many as the backend reports, or 4 if it reports none.
    pub slots: Option<usize>,
    /// Number of requests that may be queued.
    pub queue: usize,
    /// Maximum number of concurrent interactive requests of one user over all API keys, queued ones included.
    pub per_user: usize,
    /// Maximum number of interactive requests per minute of one user over all API keys; a key may have a lower limit.
    pub per_minute: u32,
    /// The longest answer in tokens that an interactive request may ask for. Agents name their own.
    pub max_tokens: u32,
    /// Time limit of a request that sets none, including its time in the queue.
    pub timeout: Duration,
}

impl Default for AdmissionControlConfig {
    fn default() -> Self {
        let timeout = Duration::from_secs(300);
        Self { slots: None, queue: 64, per_user: 8, per_minute: 120, max_tokens: 4_096, timeout }
    }
}

/// Number of slots if the backend does not report how many answers it generates concurrently.
const DEFAULT_SLOTS: usize = 4;

/// Admission control in front of a model. Cheap to clone; all clones share one queue.
///
/// At most as many requests as there are slots reach the model, and of one user at most all but one of several; the
/// others are queued. The queue is round-robin across users, and interactive requests precede those of tasks. A request
/// is `Busy` at once, with a retry time, if the queue is full or its answer is expected only after its time limit.
/// Dropping an answer stops the model and frees the slot.
#[derive(Debug, Clone)]
pub struct AdmissionControl {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    model: Arc<dyn ModelBackend>,
    clock: Arc<dyn Clock>,
    max_tokens: u32,
    timeout: Duration,
    state: Mutex<State>,
    answered: Arc<Answered>,
}

#[derive(Debug)]
struct State {
    queue: AdmissionQueue,
    limits: Limits,
    waiting: HashMap<QueueEntry, oneshot::Sender<()>>,
}

impl AdmissionControl {
    /// Creates admission control for this model.
    pub fn new(model: Arc<dyn ModelBackend>, clock: Arc<dyn Clock>, config: &AdmissionControlConfig) -> Self {
        let slots = config.slots.or_else(|| model.slots()).unwrap_or(DEFAULT_SLOTS);
        let queue = AdmissionQueue::new(slots, config.queue);
        let limits = Limits::new(config.per_user, config.per_minute);
        let state = Mutex::new(State { queue, limits, waiting: HashMap::new() });
        let (max_tokens, timeout, answered) = (config.max_tokens, config.timeout, Arc::default());
        Self { shared: Arc::new(Shared { model, clock, max_tokens, timeout, state, answered }) }
    }

    /// Returns how many requests the model answers and how many wait for it.
    pub fn load(&self) -> ModelLoad {
        self.shared.lock().queue.load()
    }

    /// Returns the model for interactive requests of a caller, subject to the caller's limits. The system has none.
    pub fn model_for(&self, caller: &Caller) -> Arc<dyn ModelBackend> {
        self.controlled(caller.owner(), PriorityClass::Interactive, Holder::of(caller))
    }

    /// Returns the model for tasks of this owner, in the background class.
    pub fn model_for_task(&self, owner: Option<UserId>) -> Arc<dyn ModelBackend> {
        self.controlled(owner, PriorityClass::Background, None)
    }

    fn controlled(
        &self,
        tenant: Tenant,
        class: PriorityClass,
        limited: Option<Holder>,
    ) -> Arc<dyn ModelBackend> {
        Arc::new(AdmissionControlledBackend { shared: self.shared.clone(), tenant, class, limited })
    }
}

/// The model behind admission control, for one caller and one priority class.
#[derive(Debug)]
struct AdmissionControlledBackend {
    shared: Arc<Shared>,
    tenant: Tenant,
    class: PriorityClass,
    limited: Option<Holder>,
}

impl AdmissionControlledBackend {
    fn measure(&self, model: Option<String>) -> Measurement {
        Measurement::begin(self.shared.answered.clone(), self.shared.clock.clone(), model)
    }

    /// Waits for a slot; returns it with the remaining time.
    async fn enter(&self, timeout: Duration) -> Result<(Place, Duration)> {
        let begun = self.shared.clock.now();
        let (place, grant) = self.shared.admit(self, timeout)?;
        let Some(grant) = grant else { return Ok((place, timeout)) };
        let timed_out = || Error::timeout(format!("no slot of the model was free within {timeout:?}"));
        tokio::select! {
            biased;
            grant = grant => grant.map_err(|e| Error::internal("the model queue lost a request").with_source(e))?,
            () = self.shared.clock.sleep(timeout) => return Err(timed_out()),
        }
        let waited = (self.shared.clock.now() - begun).to_std().unwrap_or_default();
        Ok((place, timeout.checked_sub(waited).ok_or_else(timed_out)?))
    }

    async fn begin(&self, mut request: GenerateRequest) -> Result<(Place, ModelStream)> {
        let (wanted, most) = (request.max_tokens, self.shared.max_tokens);
        if self.limited.is_some() && wanted > most {
            let message = format!("expected at most {most} tokens for one answer, got {wanted}");
            return Err(Error::invalid("max_tokens", message));
        }
        let timeout = request.timeout.unwrap_or(self.shared.timeout);
        let (place, left) = self.enter(timeout).await?;
        request.timeout = Some(left);
        request.prefix_owner = self.tenant;
        let answer = self.shared.model.generate(request).await?;
        Ok((place, answer))
    }
}

#[async_trait]
impl ModelBackend for AdmissionControlledBackend {
    fn name(&self) -> &str {
        self.shared.model.name()
    }

    fn supports(&self, constraint: &Constraint) -> bool {
        self.shared.model.supports(constraint)
    }

    fn slots(&self) -> Option<usize> {
        self.shared.model.slots()
    }

    async fn models(&self) -> Result<Vec<ModelInfo>> {
        self.shared.model.models().await
    }

    async fn permissions(&self, model: Option<String>) -> Result<ModelPermissions> {
        self.shared.model.permissions(model).await
    }

    async fn permissions_of(&self, models: &[ModelInfo]) -> Result<Vec<ModelPermissions>> {
        self.shared.model.permissions_of(models).await
    }

    async fn generate(&self, request: GenerateRequest) -> Result<ModelStream> {
        let mut measurement = self.measure(request.model.clone());
        let (place, answer) = self.begin(request).await.inspect_err(|e| measurement.failed(e))?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(pass_on(place, answer, measurement, sender).in_current_span());
        Ok(stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|event| (event, receiver))
        })
        .boxed())
    }

    async fn embed(&self, model: Option<String>, texts: &[String]) -> Result<Embeddings> {
        let mut measurement = self.measure(model.clone());
        let made = async {
            let (_place, left) = self.enter(self.shared.timeout).await?;
            tokio::select! {
                made = self.shared.model.embed(model, texts) => made,
                () = self.shared.clock.sleep(left) => Err(Error::timeout(format!("no embeddings within {left:?}"))),
            }
        };
        let made = made.await.inspect_err(|e| measurement.failed(e))?;
        measurement.embedded(&made);
        Ok(made)
    }

    async fn load(&self, model: Option<String>) -> Result<()> {
        self.shared.model.load(model).await
    }

    async fn pull(&self, model: &str) -> Result<PullStream> {
        self.shared.model.pull(model).await
    }
}

/// Forwards the answer while it is generated. The channel is unbounded so that a slow or stalled reader does not occupy
/// the slot; what it holds is bounded by the request's `max_tokens`. Stops the model when the reader disconnects.
async fn pass_on(
    place: Place,
    mut answer: ModelStream,
    mut measurement: Measurement,
    reader: mpsc::UnboundedSender<Result<ModelEvent>>,
) {
    let end = loop {
        let event = tokio::select! {
            biased;
            () = reader.closed() => return,
            event = answer.next() => event,
        };
        match event {
            Some(Ok(text @ ModelEvent::Text(_))) => {
                measurement.text();
                if reader.send(Ok(text)).is_err() {
                    return;
                }
            }
            Some(Ok(ModelEvent::Done(usage))) => {
                measurement.done(&usage);
                break Ok(ModelEvent::Done(usage));
            }
            Some(Err(e)) => break Err(e),
            None => break Err(Error::unavailable("the model stopped answering without an end event")),
        }
    };
    if let Err(e) = &end {
        measurement.failed(e);
    }
    // The slot is freed before the end is sent, so that a reader that asks again at once finds it free.
    drop((place, answer));
    let _ = reader.send(end);
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the queue; also returns a receiver that is notified when a slot is granted, or `None` if one is granted
    /// at once.
    fn admit(
        self: &Arc<Self>,
        AdmissionControlledBackend { tenant, class, limited, .. }: &AdmissionControlledBackend,
        timeout: Duration,
    ) -> Result<(Place, Option<oneshot::Receiver<()>>)> {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some(holder) = limited {
            state.limits.begin(*holder, now)?;
        }
        let place = |entry| Place { shared: self.clone(), entry, limited: *limited };
        match state.queue.enter(*tenant, *class, timeout, now) {
            Ok(Entry::Granted(entry)) => Ok((place(entry), None)),
            Ok(Entry::Waiting(entry)) => {
                let (grant, waits) = oneshot::channel();
                state.waiting.insert(entry, grant);
                Ok((place(entry), Some(waits)))
            }
            Err(e) => {
                if let Some(holder) = limited {
                    state.limits.end(*holder);
                }
                Err(e)
            }
        }
    }
}

/// A queue entry or a slot; released when it is dropped.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    entry: QueueEntry,
    limited: Option<Holder>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        state.waiting.remove(&self.entry);
        if let Some(holder) = self.limited {
            state.limits.end(holder);
        }
        for granted in state.queue.leave(self.entry, now) {
            if let Some(grant) = state.waiting.remove(&granted) {
                // A receiver that is gone is about to drop its `Place`, which passes the slot on.
                let _ = grant.send(());
            }
        }
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Constraint, UserRole};
    use crate::ports::SystemClock;
    use crate::testing::{ScriptedModelBackend, model_backend};

    #[tokio::test]
    async fn controlled_backend_conforms() {
        model_backend::run_all(|| async {
            let reply = |request: &GenerateRequest| match &request.constraint {
                None => "and the ship sailed on ".repeat(500),
                Some(Constraint::JsonSchema(_)) => json!({ "name": "Tom", "legs": 4 }).to_string(),
                Some(Constraint::Grammar(_)) => "yes".into(),
                Some(Constraint::Text(text)) => text.clone(),
            };
            let model = Arc::new(ScriptedModelBackend::replying(reply));
            let control =
                AdmissionControl::new(model, Arc::new(SystemClock), &AdmissionControlConfig::default());
            control.model_for(&Caller::User { id: UserId::new(), role: UserRole::User })
        })
        .await;
    }
}
