//! The gate: the queue with a model behind it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, stream};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::limits::{Holder, Limits};
use super::line::{Share, Ticket};
use super::measurement::{Answered, Measurement};
use super::queue::{Entry, GateQueue};
use crate::domain::{
    Caller, Constraint, Embeddings, GenerateRequest, ModelEvent, ModelInfo, ModelPermissions, UserId,
};
use crate::error::{Error, Result};
use crate::ports::{Clock, ModelBackend, ModelStream, PullStream};

/// Whether somebody waits for the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// A person or a program waits: goes first, under its limits.
    Interactive,
    /// A task's: goes when nobody waits, and every fourth time when somebody does.
    Background,
}

/// How much the gate lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelGateConfig {
    /// Answers written at once; none: as many as the backend says, or 4 where it says nothing.
    pub slots: Option<usize>,
    /// Requests that may wait for a slot.
    pub queue: usize,
    /// Interactive requests that one user, with all keys, may have under way at once, waiting ones included.
    pub per_user: usize,
    /// Interactive requests that one user, with all keys, may begin in a minute; a key may have a lower limit of its own.
    pub per_minute: u32,
    /// How long a request may take that says nothing of it, its time in line included.
    pub timeout: Duration,
}

impl Default for ModelGateConfig {
    fn default() -> Self {
        let timeout = Duration::from_secs(300);
        Self { slots: None, queue: 64, per_user: 8, per_minute: 120, timeout }
    }
}

/// Slots where the backend does not say how many answers it writes at once.
const DEFAULT_SLOTS: usize = 4;

/// Stands in front of a model. Cheap to clone; all clones are one gate.
///
/// At most as many requests as there are slots reach the model; the others wait in line, where users take turns and
/// interactive requests go before tasks. A request is `Busy` at once, with the time after which another try may be worth
/// it, when the line is full or its answer would come after its time limit. Dropping an answer stops the model and frees
/// the slot.
#[derive(Debug, Clone)]
pub struct ModelGate {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    model: Arc<dyn ModelBackend>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    state: Mutex<State>,
    answered: Arc<Answered>,
}

#[derive(Debug)]
struct State {
    queue: GateQueue,
    limits: Limits,
    waiting: HashMap<Ticket, oneshot::Sender<()>>,
}

impl ModelGate {
    /// In front of this model.
    pub fn new(model: Arc<dyn ModelBackend>, clock: Arc<dyn Clock>, config: &ModelGateConfig) -> Self {
        let slots = config.slots.or_else(|| model.slots()).unwrap_or(DEFAULT_SLOTS);
        let queue = GateQueue::new(slots, config.queue);
        let limits = Limits::new(config.per_user, config.per_minute);
        let state = Mutex::new(State { queue, limits, waiting: HashMap::new() });
        let (timeout, answered) = (config.timeout, Arc::default());
        Self { shared: Arc::new(Shared { model, clock, timeout, state, answered }) }
    }

    /// The model for a caller who waits for the answer: goes first, within the caller's limits. The system has none.
    pub fn model_for(&self, caller: &Caller) -> Arc<dyn ModelBackend> {
        self.gated(caller.owner(), Urgency::Interactive, Holder::of(caller))
    }

    /// The model for a task of this owner: goes when nobody waits, and every fourth time when somebody does.
    pub fn model_for_task(&self, owner: Option<UserId>) -> Arc<dyn ModelBackend> {
        self.gated(owner, Urgency::Background, None)
    }

    fn gated(&self, share: Share, urgency: Urgency, limited: Option<Holder>) -> Arc<dyn ModelBackend> {
        Arc::new(GatedModelBackend { shared: self.shared.clone(), share, urgency, limited })
    }
}

/// The model behind the gate, for one caller and one kind of work.
#[derive(Debug)]
struct GatedModelBackend {
    shared: Arc<Shared>,
    share: Share,
    urgency: Urgency,
    limited: Option<Holder>,
}

impl GatedModelBackend {
    fn measure(&self, model: Option<String>) -> Measurement {
        Measurement::begin(self.shared.answered.clone(), self.shared.clock.clone(), model)
    }

    /// Waits for a slot, and gives it with what is left of the time.
    async fn enter(&self, timeout: Duration) -> Result<(Place, Duration)> {
        let begun = self.shared.clock.now();
        let (place, turn) = self.shared.line_up(self, timeout)?;
        let Some(turn) = turn else { return Ok((place, timeout)) };
        let late = || Error::timeout(format!("the model was in use for all of {timeout:?}"));
        tokio::select! {
            biased;
            turn = turn => turn.map_err(|e| Error::internal("the gate lost a request").with_source(e))?,
            () = self.shared.clock.sleep(timeout) => return Err(late()),
        }
        let waited = (self.shared.clock.now() - begun).to_std().unwrap_or_default();
        Ok((place, timeout.checked_sub(waited).ok_or_else(late)?))
    }

    async fn begin(&self, mut request: GenerateRequest) -> Result<(Place, ModelStream)> {
        let timeout = request.timeout.unwrap_or(self.shared.timeout);
        let (place, left) = self.enter(timeout).await?;
        request.timeout = Some(left);
        request.prefix_owner = self.share;
        let answer = self.shared.model.generate(request).await?;
        Ok((place, answer))
    }
}

#[async_trait]
impl ModelBackend for GatedModelBackend {
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

/// Takes what the model writes as it comes, so that a reader who is slow, or stands still, does not keep the slot: what is
/// not read yet is bounded by the request's `max_tokens`. Stops the model when the reader has gone away.
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
            None => break Err(Error::unavailable("the model ended its answer without saying so")),
        }
    };
    if let Err(e) = &end {
        measurement.failed(e);
    }
    // The slot is free before the end is told.
    drop((place, answer));
    let _ = reader.send(end);
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place at the gate, and what fires when it has become a slot; none when it is one already.
    fn line_up(
        self: &Arc<Self>,
        GatedModelBackend { share, urgency, limited, .. }: &GatedModelBackend,
        timeout: Duration,
    ) -> Result<(Place, Option<oneshot::Receiver<()>>)> {
        let now = self.clock.now();
        let mut state = self.lock();
        if let Some(holder) = limited {
            state.limits.begin(*holder, now)?;
        }
        let place = |ticket| Place { shared: self.clone(), ticket, limited: *limited };
        match state.queue.enter(*share, *urgency, timeout, now) {
            Ok(Entry::Granted(ticket)) => Ok((place(ticket), None)),
            Ok(Entry::Waiting(ticket)) => {
                let (turn, waits) = oneshot::channel();
                state.waiting.insert(ticket, turn);
                Ok((place(ticket), Some(waits)))
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

/// A place in line or a slot; dropping it gives it up.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    ticket: Ticket,
    limited: Option<Holder>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        let mut state = self.shared.lock();
        state.waiting.remove(&self.ticket);
        if let Some(holder) = self.limited {
            state.limits.end(holder);
        }
        for granted in state.queue.leave(self.ticket, now) {
            if let Some(turn) = state.waiting.remove(&granted) {
                // Whoever does not take it is about to drop its place, which gives the slot on.
                let _ = turn.send(());
            }
        }
    }
}
