//! Event log: the events of all tasks in one stream.
//!
//! Many subscribers may follow it without a read of the store for each: one reader broadcasts new events to all. A
//! subscriber reads the store itself until it has caught up, and again when it has lagged behind the broadcast, so
//! nothing is buffered for slow subscribers.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, stream};
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::stream::{POLL_INTERVAL, woken};
use crate::domain::{EventLogEntry, EventOffset, UserId};
use crate::error::{Error, Result};
use crate::ports::{Clock, EventLog, WakeUp};

/// New and stored events in the order of the event log.
pub type EventLogStream = Pin<Box<dyn Stream<Item = Result<Arc<EventLogEntry>>> + Send>>;

/// The event log from some position on.
#[non_exhaustive]
pub struct EventLogSubscription {
    /// Position at which it was opened: all events of the stream come after it.
    pub after: EventOffset,
    /// Stored events, then new ones.
    pub events: EventLogStream,
}

impl fmt::Debug for EventLogSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLogSubscription").field("after", &self.after).finish_non_exhaustive()
    }
}

/// Number of events that a subscriber may lag behind the broadcast before it reads the store itself.
const BROADCAST_CAPACITY: usize = 256;
/// Number of events read from the store at once.
const PAGE_SIZE: u32 = 64;

/// Reader of the event log of an engine. Broadcasts new events to all subscribers, while there are any. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct EventLogReader {
    events: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    closing: CancellationToken,
    tracker: TaskTracker,
    live: Arc<Mutex<Option<broadcast::WeakSender<Arc<EventLogEntry>>>>>,
}

impl EventLogReader {
    /// Creates the reader over `events`. It runs in `tracker`, once there is a subscriber, and ends with `closing`.
    pub(crate) fn new(
        events: Arc<dyn EventLog>,
        clock: Arc<dyn Clock>,
        closing: CancellationToken,
        tracker: TaskTracker,
    ) -> Self {
        Self { events, clock, closing, tracker, live: Arc::default() }
    }

    /// Opens the event log of `owner`, or of all, after this position, or at its current end.
    pub(crate) async fn open(
        &self,
        owner: Option<UserId>,
        after: Option<EventOffset>,
    ) -> Result<EventLogSubscription> {
        let live = self.follow().await?;
        let end = self.events.event_log_end().await?;
        // A new subscriber starts at the oldest retained event; one that continues after removed events would miss
        // them, so it is rejected.
        if let Some(after) = after.filter(|after| *after > EventOffset(0))
            && after < self.events.event_log_begin().await?
        {
            let why = "events that came after this one have been removed; start without `after`";
            return Err(Error::conflict(why).with_field("after"));
        }
        let after = after.unwrap_or(end);
        if after > end {
            let why = "expected the id of an event of this server; there is no later one";
            return Err(Error::invalid("after", why));
        }
        let following =
            Following { log: self.clone(), owner, after, live, behind: true, read: VecDeque::new() };
        let events = stream::try_unfold(following, |mut following| async move {
            Ok(following.next().await?.map(|entry| (entry, following)))
        });
        Ok(EventLogSubscription { after, events: Box::pin(events) })
    }

    /// Subscribes to new events, and starts the reader if none is running. The channel closes when the reader ends.
    async fn follow(&self) -> Result<broadcast::Receiver<Arc<EventLogEntry>>> {
        let mut live = self.live.lock().await;
        if let Some(sender) = live.as_ref().and_then(broadcast::WeakSender::upgrade) {
            return Ok(sender.subscribe());
        }
        let wake_ups = self.events.subscribe();
        // Read before any subscriber reads the store, so that there is no gap between its reads and the broadcast.
        let after = self.events.event_log_end().await?;
        let (sender, receiver) = broadcast::channel(BROADCAST_CAPACITY);
        *live = Some(sender.downgrade());
        self.tracker.spawn(self.clone().broadcast(sender, wake_ups, after));
        Ok(receiver)
    }

    /// Reads new events and sends them to the subscribers, until there is none or the engine closes.
    async fn broadcast(
        self,
        sender: broadcast::Sender<Arc<EventLogEntry>>,
        mut wake_ups: broadcast::Receiver<WakeUp>,
        mut after: EventOffset,
    ) {
        let clock = self.clock.as_ref();
        while sender.receiver_count() > 0 && !self.closing.is_cancelled() {
            // Drains the wake-ups: one read covers them all.
            while matches!(wake_ups.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            let read = self.events.event_log_after(None, after, PAGE_SIZE).await;
            let failed = read.is_err();
            match read {
                Ok(page) => {
                    for entry in page.items {
                        after = entry.position;
                        // Sending fails only without subscribers, and then the loop ends.
                        let _ = sender.send(Arc::new(entry));
                    }
                    if page.next.is_some() {
                        continue;
                    }
                }
                Err(e) => tracing::warn!(error = %e, "reading the event log failed; retrying"),
            }
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = clock.sleep(POLL_INTERVAL), if failed => {}
                () = woken(&mut wake_ups, clock, |_| true), if !failed => {}
            }
        }
    }
}

struct Following {
    log: EventLogReader,
    owner: Option<UserId>,
    after: EventOffset,
    live: broadcast::Receiver<Arc<EventLogEntry>>,
    /// Indicates that the store may have events that will not arrive through `live`.
    behind: bool,
    read: VecDeque<EventLogEntry>,
}

impl Following {
    async fn next(&mut self) -> Result<Option<Arc<EventLogEntry>>> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                self.after = entry.position;
                return Ok(Some(Arc::new(entry)));
            }
            if self.behind {
                let page = self.log.events.event_log_after(self.owner, self.after, PAGE_SIZE).await?;
                self.behind = page.next.is_some();
                self.read.extend(page.items);
                continue;
            }
            let closing = self.log.closing.clone();
            let heard = tokio::select! {
                heard = self.live.recv() => heard,
                () = closing.cancelled() => return Ok(None),
            };
            match heard {
                // Broadcast events that were already read from the store are skipped.
                Ok(entry) if entry.position <= self.after => {}
                Ok(entry) => {
                    self.after = entry.position;
                    if self.owner.is_none() || entry.owner == self.owner {
                        return Ok(Some(entry));
                    }
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                // The reader ended just when this subscriber subscribed.
                Err(RecvError::Closed) => {
                    self.live = self.log.follow().await?;
                    self.behind = true;
                }
            }
        }
    }
}
