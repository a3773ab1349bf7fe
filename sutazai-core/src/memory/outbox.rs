//! State that the memory stores of tasks and of the relay share: the published position and the outbox.
//!
//! A task that is deleted before all its events were published leaves its messages here, and the relay publishes them
//! from here. In a database these are the tables `relay` and `outbox`; a lock of their own keeps either store from
//! changing the state of the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{BusMessage, EventOffset};
use crate::ports::OutboxMessage;

/// Published position of the event log, and messages about deleted tasks that were not published yet.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    published: Option<EventOffset>,
    last_number: u64,
    messages: BTreeMap<u64, BusMessage>,
}

impl Outbox {
    /// Returns the position up to which events are published; the first call sets it to `begin`.
    pub(super) fn published_from(&self, begin: EventOffset) -> EventOffset {
        *self.lock().published.get_or_insert(begin)
    }

    /// Records that the events up to this position are published.
    pub(super) fn set_published(&self, position: EventOffset) {
        self.lock().published = Some(position);
    }

    /// Stores the messages about a deleted task whose last event is at `last`, unless all its events are published or
    /// no relay has begun.
    pub(super) fn leave(&self, last: EventOffset, messages: impl FnOnce() -> Vec<BusMessage>) {
        let mut state = self.lock();
        if state.published.is_none_or(|published| last <= published) {
            return;
        }
        for message in messages() {
            state.last_number += 1;
            let number = state.last_number;
            state.messages.insert(number, message);
        }
    }

    /// Returns the first `limit` messages, in order.
    pub(super) fn first(&self, limit: u32) -> Vec<OutboxMessage> {
        let state = self.lock();
        let first = state.messages.iter().take(limit as usize);
        first.map(|(number, message)| OutboxMessage { number: *number, message: message.clone() }).collect()
    }

    /// Deletes messages that were published.
    pub(super) fn delete_published(&self, numbers: &[u64]) {
        let mut state = self.lock();
        for number in numbers {
            state.messages.remove(number);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
