//! Events both ways: those that agents report are gathered and appended a few times a second; those of a task are
//! read from the store, then followed by its wake-ups.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::Notify;
use tokio::sync::broadcast::{self, error::RecvError};

use super::api::Parts;
use super::guarded::guarded;
use crate::domain::{ClaimKey, EventKind, NewEvent, Task, TaskEvent, TaskId};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Clock, EventSink, TaskStore, WakeUp};

/// The events of one task, in order.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<TaskEvent>> + Send>>;

/// How long reported events gather before they are appended.
const GATHER: Duration = Duration::from_millis(200);
/// Reported events that may wait.
const MOST_WAITING: usize = 256;
/// Reported text that may wait, in bytes.
const MOST_TEXT: usize = 1 << 20;
/// Reads again so often, for wake-ups that were lost or came in another process.
pub(super) const POLL: Duration = Duration::from_secs(1);
const PAGE: u32 = 256;

/// Events that an agent has reported and that are not in the store yet. Never more than so many events and so much
/// text: what an agent says faster than the store takes it is thinned out, so that the agent never waits.
#[derive(Debug, Default)]
pub(super) struct EventBuffer {
    waiting: Mutex<Waiting>,
    some: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<NewEvent>,
    text_bytes: usize,
    /// Left out since the last append.
    left_out: u64,
    /// What was appended without an answer. It may be in the store.
    unanswered: Vec<NewEvent>,
}

impl EventSink for EventBuffer {
    fn emit(&self, event: NewEvent) {
        self.lock().add(event);
        self.some.notify_one();
    }
}

impl Waiting {
    fn add(&mut self, event: NewEvent) {
        if let EventKind::Text { text } = &event.kind {
            if self.text_bytes + text.len() > MOST_TEXT {
                self.left_out += 1;
                return;
            }
            self.text_bytes += text.len();
            if let Some(NewEvent { kind: EventKind::Text { text: before }, .. }) = self.events.last_mut() {
                before.push_str(text);
                return;
            }
        }
        if self.events.len() >= MOST_WAITING {
            let progress = |event: &NewEvent| matches!(event.kind, EventKind::Progress { .. });
            match self.events.iter().position(progress) {
                // The oldest report of progress says least.
                Some(oldest) => drop(self.events.remove(oldest)),
                None => return self.left_out += 1,
            }
            self.left_out += 1;
        }
        self.events.push(event);
    }
}

impl EventBuffer {
    /// Waits until something is reported and a little longer, so that more can gather.
    pub(super) async fn gathered(&self, clock: &dyn Clock) {
        self.some.notified().await;
        clock.sleep(GATHER).await;
    }

    /// Appends what waits. What a store out of reach does not take waits for the next time: then it is not all done.
    pub(super) async fn flush(&self, parts: &Parts, claim: &ClaimKey) -> bool {
        let unanswered = std::mem::take(&mut self.lock().unanswered);
        if !self.append(parts, claim, unanswered, true).await {
            return false;
        }
        let (events, left_out) = {
            let mut waiting = self.lock();
            waiting.text_bytes = 0;
            (std::mem::take(&mut waiting.events), std::mem::take(&mut waiting.left_out))
        };
        if left_out > 0 {
            tracing::warn!(task = %claim.task, events = left_out, "events came faster than they could be appended");
        }
        self.append(parts, claim, events, false).await
    }

    /// Appends these, `again` unless only the answer was lost the last time. Keeps them when the store is out of reach.
    async fn append(&self, parts: &Parts, claim: &ClaimKey, events: Vec<NewEvent>, again: bool) -> bool {
        let Some(first) = events.first() else { return true };
        let store = parts.store.as_ref();
        let appended = async {
            if again && is_recorded(store, claim.task, first).await? {
                return Ok(());
            }
            store.append(claim, events.clone()).await
        };
        let Err(e) = guarded("append of events", appended).await else { return true };
        tracing::warn!(task = %claim.task, error = %e, "events could not be appended");
        if !matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Busy) {
            return true;
        }
        self.lock().unanswered = events;
        self.some.notify_one();
        false
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the task has this event, which may be kept to the microsecond only.
async fn is_recorded(store: &dyn TaskStore, task: TaskId, event: &NewEvent) -> Result<bool> {
    let mut after = 0;
    loop {
        let page = store.events_after(task, after, PAGE).await?;
        let same = |known: &TaskEvent| {
            known.at.timestamp_micros() == event.at.timestamp_micros() && known.kind == event.kind
        };
        if page.iter().any(same) {
            return Ok(true);
        }
        match page.last() {
            Some(last) => after = last.sequence,
            None => return Ok(false),
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
                let task = self.task;
                woken(&mut self.wake_ups, self.clock.as_ref(), |id| id == task).await;
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
        woken(&mut wake_ups, clock, |task| task == id).await;
    }
}

/// Waits until there may be something new about one of these tasks.
pub(super) async fn woken(
    wake_ups: &mut broadcast::Receiver<WakeUp>,
    clock: &dyn Clock,
    meant: impl Fn(TaskId) -> bool,
) {
    let heard = async {
        loop {
            match wake_ups.recv().await {
                Ok(WakeUp::Task(task)) if meant(task) => return,
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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn say(buffer: &EventBuffer, kind: EventKind) {
        buffer.emit(NewEvent { at: DateTime::UNIX_EPOCH, kind });
    }

    fn progress(percent: usize) -> EventKind {
        EventKind::Progress { fraction: percent as f32 / 100.0, message: percent.to_string() }
    }

    #[test]
    fn pieces_of_text_are_joined_and_keep_their_place() {
        let buffer = EventBuffer::default();
        for word in ["one ", "two "] {
            say(&buffer, EventKind::Text { text: word.into() });
        }
        say(&buffer, progress(50));
        say(&buffer, EventKind::Text { text: "three".into() });
        let kinds: Vec<_> = buffer.lock().events.iter().map(|event| event.kind.clone()).collect();
        let text = |text: &str| EventKind::Text { text: text.into() };
        assert_eq!(kinds, [text("one two "), progress(50), text("three")]);
    }

    #[test]
    fn an_agent_that_never_stops_talking_takes_bounded_memory() {
        let buffer = EventBuffer::default();
        for i in 0..5_000 {
            say(&buffer, progress(i));
            say(&buffer, EventKind::Text { text: "x".repeat(1_000) });
        }
        let waiting = buffer.lock();
        assert!(waiting.events.len() <= MOST_WAITING, "{}", waiting.events.len());
        assert!(waiting.text_bytes <= MOST_TEXT, "{}", waiting.text_bytes);
        assert!(waiting.left_out > 0);
    }
}
