//! Task events in both directions: reported events are buffered and appended every 200 ms; the events of a task are
//! read from the store and followed by its wake-ups.

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

/// Events of one task, in ascending order of their sequence.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<TaskEvent>> + Send>>;

/// Time for which reported events are buffered before they are appended together.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum number of buffered events of one attempt.
const MAX_BUFFERED_EVENTS: usize = 256;
/// Maximum size of the buffered text of one attempt in bytes (1 MiB).
const MAX_BUFFERED_TEXT_BYTES: usize = 1 << 20;
/// Interval at which readers poll, for wake-ups that were lost or sent in another process.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// Number of events read from the store at once.
const PAGE_SIZE: u32 = 256;

/// Reported events that are not yet in the store, bounded in number and size. The excess of an agent that reports
/// faster than the store writes is dropped: blocking instead would let a slow store slow down the agent.
#[derive(Debug, Default)]
pub(super) struct EventBuffer {
    waiting: Mutex<Waiting>,
    reported: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<NewEvent>,
    text_bytes: usize,
    /// Number of events dropped since the last append.
    dropped_events: u64,
    /// Events whose append was not acknowledged; they may or may not be stored.
    unacknowledged: Vec<NewEvent>,
}

impl EventSink for EventBuffer {
    fn emit(&self, event: NewEvent) {
        self.lock().add(event);
        self.reported.notify_one();
    }
}

impl Waiting {
    fn add(&mut self, event: NewEvent) {
        if let EventKind::Text { text } = &event.kind {
            if self.text_bytes + text.len() > MAX_BUFFERED_TEXT_BYTES {
                self.dropped_events += 1;
                return;
            }
            self.text_bytes += text.len();
            if let Some(NewEvent { kind: EventKind::Text { text: before }, .. }) = self.events.last_mut() {
                before.push_str(text);
                return;
            }
        }
        if self.events.len() >= MAX_BUFFERED_EVENTS {
            let progress = |event: &NewEvent| matches!(event.kind, EventKind::Progress { .. });
            match self.events.iter().position(progress) {
                // The oldest progress report is the least informative event.
                Some(oldest) => drop(self.events.remove(oldest)),
                None => return self.dropped_events += 1,
            }
            self.dropped_events += 1;
        }
        self.events.push(event);
    }
}

impl EventBuffer {
    /// Waits until an event is reported, and then for [`FLUSH_INTERVAL`], so that more events share the append.
    pub(super) async fn gathered(&self, clock: &dyn Clock) {
        self.reported.notified().await;
        clock.sleep(FLUSH_INTERVAL).await;
    }

    /// Appends the buffered events; returns false if the store was unreachable, in which case they are kept for the
    /// next call.
    pub(super) async fn flush(&self, parts: &Parts, claim: &ClaimKey) -> bool {
        let unacknowledged = std::mem::take(&mut self.lock().unacknowledged);
        if !self.append(parts, claim, unacknowledged, true).await {
            return false;
        }
        let (events, dropped_events) = {
            let mut waiting = self.lock();
            waiting.text_bytes = 0;
            (std::mem::take(&mut waiting.events), std::mem::take(&mut waiting.dropped_events))
        };
        if dropped_events > 0 {
            tracing::warn!(task = %claim.task, events = dropped_events, "events dropped: reported faster than appended");
        }
        self.append(parts, claim, events, false).await
    }

    /// Appends these events and keeps them if the store is unreachable. With `again`, only if the previous append has
    /// not been stored despite its missing acknowledgment.
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
        tracing::warn!(task = %claim.task, error = %e, "appending events failed");
        if !matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout | ErrorKind::Busy) {
            return true;
        }
        self.lock().unacknowledged = events;
        self.reported.notify_one();
        false
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the task has this event, whose time the store may keep to the microsecond only.
async fn is_recorded(store: &dyn TaskStore, task: TaskId, event: &NewEvent) -> Result<bool> {
    let mut after = 0;
    loop {
        let page = store.events_after(task, after, PAGE_SIZE).await?;
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

/// Streams the events above `after`, then new ones, until the task has ended and its last event was returned.
pub(super) fn stream(
    store: Arc<dyn TaskStore>,
    clock: Arc<dyn Clock>,
    task: TaskId,
    after: u64,
) -> EventStream {
    // Subscribed before the first read, so that no event written in between is missed.
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
            // The status is read before the events: if the task had ended by then, its last event is among them.
            let ended = self.store.get(self.task).await?.is_none_or(|task| task.status.has_ended());
            self.read.extend(self.store.events_after(self.task, self.after, PAGE_SIZE).await?);
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

/// Waits until the task has ended and returns it.
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

/// Waits until there may be new events of a relevant task, at most [`POLL`].
pub(super) async fn woken(
    wake_ups: &mut broadcast::Receiver<WakeUp>,
    clock: &dyn Clock,
    is_relevant: impl Fn(TaskId) -> bool,
) {
    let heard = async {
        loop {
            match wake_ups.recv().await {
                Ok(WakeUp::Task(task)) if is_relevant(task) => return,
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
    fn consecutive_texts_are_joined_in_order() {
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
    fn buffer_of_a_chatty_agent_is_bounded() {
        let buffer = EventBuffer::default();
        for i in 0..5_000 {
            say(&buffer, progress(i));
            say(&buffer, EventKind::Text { text: "x".repeat(1_000) });
        }
        let waiting = buffer.lock();
        assert!(waiting.events.len() <= MAX_BUFFERED_EVENTS, "{}", waiting.events.len());
        assert!(waiting.text_bytes <= MAX_BUFFERED_TEXT_BYTES, "{}", waiting.text_bytes);
        assert!(waiting.dropped_events > 0);
    }
}
