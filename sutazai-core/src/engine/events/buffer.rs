//! Buffer of the events that an agent reports: they are appended to the store together, every 200 ms.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::domain::{ClaimKey, EventKind, NewEvent, TaskEvent, TaskId};
use crate::engine::guarded::guarded;
use crate::error::Result;
use crate::ports::{Clock, EventLog, EventSink};

/// Time for which reported events are buffered before they are appended together.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum number of buffered events of one attempt.
const MAX_BUFFERED_EVENTS: usize = 256;
/// Maximum size of the buffered text of one attempt in bytes (1 MiB).
const MAX_BUFFERED_TEXT_BYTES: usize = 1 << 20;
/// Number of events read from the store at once.
const PAGE_SIZE: u32 = 256;

/// Reported events that are not yet in the store, bounded in number and size. The excess of an agent that reports
/// faster than the store writes is dropped: blocking instead would let a slow store slow down the agent.
#[derive(Debug, Default)]
pub(crate) struct EventBuffer {
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
        let bytes = match &event.kind {
            EventKind::Text { .. } | EventKind::Findings { .. } => event.kind.text_bytes(),
            EventKind::Status { .. } | EventKind::Progress { .. } => 0,
        };
        if self.text_bytes + bytes > MAX_BUFFERED_TEXT_BYTES {
            self.dropped_events += 1;
            return;
        }
        self.text_bytes += bytes;
        if let EventKind::Text { text, finding_id } = &event.kind
            && let Some(NewEvent { kind: EventKind::Text { text: before, finding_id: of }, .. }) =
                self.events.last_mut()
            && of == finding_id
        {
            before.push_str(text);
            return;
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
    pub(crate) async fn gathered(&self, clock: &dyn Clock) {
        self.reported.notified().await;
        clock.sleep(FLUSH_INTERVAL).await;
    }

    /// Appends the buffered events; returns false if the store was unreachable, in which case they are kept for the
    /// next call.
    pub(crate) async fn flush(&self, log: &dyn EventLog, claim: &ClaimKey) -> bool {
        let unacknowledged = std::mem::take(&mut self.lock().unacknowledged);
        if !self.append(log, claim, unacknowledged, true).await {
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
        self.append(log, claim, events, false).await
    }

    /// Appends these events and keeps them if the log is unreachable. With `again`, only if the previous append has
    /// not been stored despite its missing acknowledgment.
    async fn append(&self, log: &dyn EventLog, claim: &ClaimKey, events: Vec<NewEvent>, again: bool) -> bool {
        let Some(first) = events.first() else { return true };
        let appended = async {
            if again && is_recorded(log, claim.task, first).await? {
                return Ok(());
            }
            log.append(claim, events.clone()).await
        };
        let Err(e) = guarded("append of events", appended).await else { return true };
        tracing::warn!(task = %claim.task, error = %e, "appending events failed");
        if !e.kind().is_transient() {
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

/// Returns whether the task has this event, whose time the log may keep to the microsecond only.
async fn is_recorded(log: &dyn EventLog, task: TaskId, event: &NewEvent) -> Result<bool> {
    let mut after = 0;
    loop {
        let page = log.events_after(task, after, PAGE_SIZE).await?;
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

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::testing::event_sink;

    fn say(buffer: &EventBuffer, kind: EventKind) {
        buffer.emit(NewEvent { at: DateTime::UNIX_EPOCH, kind });
    }

    fn progress(percent: usize) -> EventKind {
        EventKind::progress(percent as f32 / 100.0, percent.to_string())
    }

    #[test]
    fn buffer_conforms() {
        event_sink::run_all(EventBuffer::default, |buffer| buffer.lock().events.clone());
    }

    #[test]
    fn consecutive_texts_are_joined_in_order() {
        let buffer = EventBuffer::default();
        for word in ["one ", "two "] {
            say(&buffer, EventKind::text(word));
        }
        say(&buffer, progress(50));
        say(&buffer, EventKind::text("three"));
        let about = |finding: &str| EventKind::Text {
            text: format!("{finding} "),
            finding_id: Some(finding.to_owned()),
        };
        for finding in ["disk", "disk", "swap"] {
            say(&buffer, about(finding));
        }
        let kinds: Vec<_> = buffer.lock().events.iter().map(|event| event.kind.clone()).collect();
        let both = EventKind::Text { text: "disk disk ".into(), finding_id: Some("disk".into()) };
        let [first, last] = ["one two ", "three"].map(EventKind::text);
        assert_eq!(kinds, [first, progress(50), last, both, about("swap")], "texts of one finding only");
    }

    #[test]
    fn buffer_of_a_chatty_agent_is_bounded() {
        let buffer = EventBuffer::default();
        for i in 0..5_000 {
            say(&buffer, progress(i));
            say(&buffer, EventKind::text("x".repeat(1_000)));
        }
        let waiting = buffer.lock();
        assert!(waiting.events.len() <= MAX_BUFFERED_EVENTS, "{}", waiting.events.len());
        assert!(waiting.text_bytes <= MAX_BUFFERED_TEXT_BYTES, "{}", waiting.text_bytes);
        assert!(waiting.dropped_events > 0);
    }
}
