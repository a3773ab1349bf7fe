//! Events both ways: those that agents report are gathered and appended a few times a second; those of a task are
//! read from the store, then followed by its wake-ups.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::Notify;
use tokio::sync::broadcast::{self, error::RecvError};

use super::api::Parts;
use crate::domain::{ClaimKey, EventKind, NewEvent, Task, TaskEvent, TaskId};
use crate::error::{Error, Result};
use crate::ports::{Clock, EventSink, TaskStore, WakeUp};

/// The events of one task, in order.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<TaskEvent>> + Send>>;

/// How long reported events gather before they are appended.
const GATHER: Duration = Duration::from_millis(200);
/// Reported events that may wait; then progress reports take each other's place.
const MOST_WAITING: usize = 256;
/// Reads again so often, for wake-ups that were lost or came in another process.
const POLL: Duration = Duration::from_secs(1);
const PAGE: u32 = 256;

/// Events that an agent has reported and that are not in the store yet.
#[derive(Debug, Default)]
pub(super) struct EventBuffer {
    waiting: Mutex<Vec<NewEvent>>,
    some: Notify,
}

impl EventSink for EventBuffer {
    fn emit(&self, event: NewEvent) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let full = waiting.len() >= MOST_WAITING;
        match (waiting.last_mut(), event.kind) {
            (Some(NewEvent { kind: EventKind::Text { text }, .. }), EventKind::Text { text: more }) => {
                text.push_str(&more)
            }
            (Some(last), kind @ EventKind::Progress { .. })
                if full && matches!(last.kind, EventKind::Progress { .. }) =>
            {
                *last = NewEvent { at: event.at, kind };
            }
            (_, kind) => waiting.push(NewEvent { at: event.at, kind }),
        }
        drop(waiting);
        self.some.notify_one();
    }
}

impl EventBuffer {
    /// Appends what is reported, a few times a second; never ends by itself.
    pub(super) async fn flush_as_they_come(&self, parts: &Parts, claim: &ClaimKey) {
        loop {
            self.some.notified().await;
            parts.clock.sleep(GATHER).await;
            self.flush(parts, claim).await;
        }
    }

    /// Appends what waits. An append that fails is told in the log and keeps nobody from working.
    pub(super) async fn flush(&self, parts: &Parts, claim: &ClaimKey) {
        let events = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if events.is_empty() {
            return;
        }
        if let Err(e) = parts.store.append(claim, events).await {
            tracing::warn!(task = %claim.task, error = %e, "events could not be appended");
        }
    }
}

struct Following {
    store: Arc<dyn TaskStore>,
    clock: Arc<dyn Clock>,
    wake_ups: broadcast::Receiver<WakeUp>,
    task: TaskId,
    after: u64,
    read: VecDeque<TaskEvent>,
}

/// The events over `after`, then those that come, until the task has ended and its last event was given.
pub(super) fn stream(
    store: Arc<dyn TaskStore>,
    clock: Arc<dyn Clock>,
    task: TaskId,
    after: u64,
) -> EventStream {
    // Subscribed before the first read: what is written in between wakes the next one.
    let wake_ups = store.subscribe();
    let following = Following { store, clock, wake_ups, task, after, read: VecDeque::new() };
    Box::pin(stream::try_unfold(following, |mut following| async move {
        Ok(following.next().await?.map(|event| (event, following)))
    }))
}

impl Following {
    async fn next(&mut self) -> Result<Option<TaskEvent>> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.sequence;
                return Ok(Some(event));
            }
            // Whether it had ended is asked before the events are read: its last event is then among them.
            let ended = self.store.get(self.task).await?.is_none_or(|task| task.status.has_ended());
            self.read.extend(self.store.events_after(self.task, self.after, PAGE).await?);
            if self.read.is_empty() {
                if ended {
                    return Ok(None);
                }
                woken(&mut self.wake_ups, self.clock.as_ref(), self.task).await;
            }
        }
    }
}

/// Waits for the end of a task.
pub(super) async fn wait_for_end(store: &dyn TaskStore, clock: &dyn Clock, id: TaskId) -> Result<Task> {
    let mut wake_ups = store.subscribe();
    loop {
        let task = store.get(id).await?.ok_or_else(|| Error::not_found(format!("task {id}")))?;
        if task.status.has_ended() {
            return Ok(task);
        }
        woken(&mut wake_ups, clock, id).await;
    }
}

/// Waits until there may be something new about this task.
async fn woken(wake_ups: &mut broadcast::Receiver<WakeUp>, clock: &dyn Clock, id: TaskId) {
    let heard = async {
        loop {
            match wake_ups.recv().await {
                Ok(WakeUp::Task(task)) if task == id => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        () = heard => {}
        () = clock.sleep(POLL) => {}
    }
}
