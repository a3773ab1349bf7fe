//! Requests under way in the child process of a model, and what becomes of them when it crashes.

use std::collections::BTreeMap;
use std::time::Instant;

use sutazai_core::domain::{GenerateRequest, ModelEvent};
use sutazai_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::protocol::{Command, Reply, RequestId};

/// The vectors of some texts, and how many tokens those had.
pub(super) type Vectors = (Vec<Vec<f32>>, u32);

/// A request and who waits for its answer.
#[derive(Debug)]
pub(super) enum Waiting {
    Generate { request: GenerateRequest, events: mpsc::UnboundedSender<Result<ModelEvent>> },
    Embed { texts: Vec<String>, answer: oneshot::Sender<Result<Vectors>> },
}

#[derive(Debug)]
struct Flight {
    waiting: Waiting,
    begun: Instant,
    /// Whether a part of the answer was passed on: the request must not be repeated then.
    streamed: bool,
    /// Whether it was sent to a second process already.
    repeated: bool,
}

/// All requests under way, by their ids.
#[derive(Debug, Default)]
pub(super) struct Flights {
    next: RequestId,
    under_way: BTreeMap<RequestId, Flight>,
    /// The request that native code works for alone.
    preparing: Option<RequestId>,
    /// Whether an answer was completed since [`Flights::answered_since_last_look`] was called.
    answered: bool,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Adds a request.
    pub(super) fn begin(&mut self, waiting: Waiting) -> RequestId {
        let id = self.next;
        self.next += 1;
        let flight = Flight { waiting, begun: Instant::now(), streamed: false, repeated: false };
        self.under_way.insert(id, flight);
        id
    }

    /// Forgets a request that nobody waits for; false when it has ended already.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        self.under_way.remove(&id).is_some()
    }

    /// The frame that asks the child for this.
    pub(super) fn command(&self, id: RequestId) -> Option<Command> {
        let flight = self.under_way.get(&id)?;
        Some(match &flight.waiting {
            Waiting::Generate { request, .. } => {
                let mut request = request.clone();
                if let Some(timeout) = &mut request.timeout {
                    *timeout = timeout.saturating_sub(flight.begun.elapsed());
                }
                Command::Generate { id, request }
            }
            Waiting::Embed { texts, .. } => Command::Embed { id, texts: texts.clone() },
        })
    }

    /// The frames for all that is under way, oldest first.
    pub(super) fn commands(&self) -> Vec<Command> {
        self.under_way.keys().filter_map(|id| self.command(*id)).collect()
    }

    /// Passes a reply on to who waits for it.
    pub(super) fn deliver(&mut self, reply: Reply) {
        match reply {
            Reply::Text { id, text } => {
                if let Some(flight) = self.under_way.get_mut(&id)
                    && let Waiting::Generate { events, .. } = &flight.waiting
                {
                    flight.streamed = true;
                    let _ = events.send(Ok(ModelEvent::Text(text)));
                }
            }
            Reply::Done { id, usage } => {
                self.answered = true;
                if let Some(Waiting::Generate { events, .. }) = self.end(id) {
                    let _ = events.send(Ok(ModelEvent::Done(usage)));
                }
            }
            Reply::Vectors { id, vectors, prompt_tokens } => {
                self.answered = true;
                if let Some(Waiting::Embed { answer, .. }) = self.end(id) {
                    let _ = answer.send(Ok((vectors, prompt_tokens)));
                }
            }
            Reply::Failed { id, error } => self.fail(id, error.into()),
            Reply::Preparing { id } => self.preparing = id,
            Reply::Variant { .. } | Reply::Ready(_) | Reply::Refused { .. } | Reply::Alive => {}
        }
    }

    /// Decides after a crash: the request that native code worked for alone fails, and so do answers that were begun and
    /// requests that have been repeated. The others stay, to be repeated once.
    pub(super) fn crashed(&mut self, error: &Error) {
        let preparing = self.preparing.take();
        let lost = |(id, flight): (&RequestId, &Flight)| {
            (Some(*id) == preparing || flight.streamed || flight.repeated).then_some(*id)
        };
        let lost: Vec<_> = self.under_way.iter().filter_map(lost).collect();
        for id in lost {
            self.fail(id, error.clone());
        }
        for flight in self.under_way.values_mut() {
            flight.repeated = true;
        }
    }

    /// Whether an answer was completed since the last call.
    pub(super) fn answered_since_last_look(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// Fails everything.
    pub(super) fn fail_all(&mut self, error: &Error) {
        let ids: Vec<_> = self.under_way.keys().copied().collect();
        for id in ids {
            self.fail(id, error.clone());
        }
    }

    fn fail(&mut self, id: RequestId, error: Error) {
        match self.end(id) {
            Some(Waiting::Generate { events, .. }) => drop(events.send(Err(error))),
            Some(Waiting::Embed { answer, .. }) => drop(answer.send(Err(error))),
            None => {}
        }
    }

    fn end(&mut self, id: RequestId) -> Option<Waiting> {
        self.under_way.remove(&id).map(|flight| flight.waiting)
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::ChatMessage;
    use tokio::sync::mpsc::UnboundedReceiver;

    use super::*;

    fn begin(flights: &mut Flights) -> (RequestId, UnboundedReceiver<Result<ModelEvent>>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let request = GenerateRequest::new(vec![ChatMessage::user("Hello")]);
        (flights.begin(Waiting::Generate { request, events }), receiver)
    }

    #[test]
    fn crash_fails_the_culprit_and_what_was_streamed_and_repeats_the_rest_once() {
        let mut flights = Flights::default();
        let (culprit, mut of_culprit) = begin(&mut flights);
        let (streamed, mut of_streamed) = begin(&mut flights);
        let (other, mut of_other) = begin(&mut flights);
        flights.deliver(Reply::Text { id: streamed, text: "a".into() });
        flights.deliver(Reply::Preparing { id: Some(culprit) });
        let crash = Error::unavailable("killed by SIGSEGV");
        flights.crashed(&crash);
        assert!(of_culprit.try_recv().unwrap().is_err());
        assert!(matches!(of_streamed.try_recv(), Ok(Ok(ModelEvent::Text(_)))));
        assert!(of_streamed.try_recv().unwrap().is_err());
        assert!(of_other.try_recv().is_err(), "nothing was sent yet");
        let commands = flights.commands();
        assert!(
            matches!(commands.as_slice(), [Command::Generate { id, .. }] if *id == other),
            "{commands:?}"
        );
        flights.crashed(&crash);
        assert!(of_other.try_recv().unwrap().is_err());
        assert!(flights.is_empty());
    }

    #[test]
    fn replies_to_cancelled_requests_go_nowhere() {
        let mut flights = Flights::default();
        let (id, mut events) = begin(&mut flights);
        assert!(flights.cancel(id));
        assert!(!flights.cancel(id));
        flights.deliver(Reply::Text { id, text: "late".into() });
        assert!(events.try_recv().is_err());
    }
}
