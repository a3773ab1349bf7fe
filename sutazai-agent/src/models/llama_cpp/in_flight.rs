//! In-flight requests of a model's child process, and their fate when it crashes.

use std::collections::BTreeMap;
use std::time::Instant;

use sutazai_core::domain::{GenerateRequest, ModelEvent};
use sutazai_core::{Error, Result};
use tokio::sync::{mpsc, oneshot};

use super::protocol::{Command, Reply, RequestId};

/// Vectors of the texts of a request, and the number of tokens of the texts.
pub(super) type Vectors = (Vec<Vec<f32>>, u32);

/// Request together with the channel for its answer.
#[derive(Debug)]
pub(super) enum Waiting {
    Generate { request: GenerateRequest, events: mpsc::UnboundedSender<Result<ModelEvent>> },
    Embed { texts: Vec<String>, answer: oneshot::Sender<Result<Vectors>> },
}

#[derive(Debug)]
struct InFlightRequest {
    waiting: Waiting,
    begun: Instant,
    /// Indicates that a part of the answer was passed on, so that the request must not be repeated.
    streamed: bool,
    /// Indicates that the request has been repeated once.
    repeated: bool,
}

/// All in-flight requests, by id.
#[derive(Debug, Default)]
pub(super) struct InFlightRequests {
    next: RequestId,
    under_way: BTreeMap<RequestId, InFlightRequest>,
    /// Request that native code is processing alone.
    preparing: Option<RequestId>,
    /// Indicates that an answer was completed since the last call of [`InFlightRequests::answered_since_last_look`].
    answered: bool,
}

impl InFlightRequests {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Adds a request and returns its id.
    pub(super) fn begin(&mut self, waiting: Waiting) -> RequestId {
        let id = self.next;
        self.next += 1;
        let flight = InFlightRequest { waiting, begun: Instant::now(), streamed: false, repeated: false };
        self.under_way.insert(id, flight);
        id
    }

    /// Removes a request that nobody waits for; false when it has ended already.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        self.under_way.remove(&id).is_some()
    }

    /// Builds the command that sends this request to the child, with the rest of its time limit.
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

    /// Builds the commands of all in-flight requests, oldest first.
    pub(super) fn commands(&self) -> Vec<Command> {
        self.under_way.keys().filter_map(|id| self.command(*id)).collect()
    }

    /// Forwards a reply to the waiter of its request.
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

    /// Settles all requests after a crash.
    ///
    /// The request that native code was processing alone is the likely cause and fails. So do requests whose answer was
    /// begun and requests that have been repeated. The others stay, to be repeated once.
    pub(super) fn crashed(&mut self, error: &Error) {
        let preparing = self.preparing.take();
        let lost = |(id, flight): (&RequestId, &InFlightRequest)| {
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

    /// Returns whether an answer was completed since the last call.
    pub(super) fn answered_since_last_look(&mut self) -> bool {
        std::mem::take(&mut self.answered)
    }

    /// Fails all in-flight requests with `error`.
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

    fn begin(flights: &mut InFlightRequests) -> (RequestId, UnboundedReceiver<Result<ModelEvent>>) {
        let (events, receiver) = mpsc::unbounded_channel();
        let request = GenerateRequest::new(vec![ChatMessage::user("Hello")]);
        (flights.begin(Waiting::Generate { request, events }), receiver)
    }

    #[test]
    fn crash_fails_suspect_and_streamed_requests_and_repeats_others_once() {
        let mut flights = InFlightRequests::default();
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
    fn replies_to_cancelled_requests_are_dropped() {
        let mut flights = InFlightRequests::default();
        let (id, mut events) = begin(&mut flights);
        assert!(flights.cancel(id));
        assert!(!flights.cancel(id));
        flights.deliver(Reply::Text { id, text: "late".into() });
        assert!(events.try_recv().is_err());
    }
}
