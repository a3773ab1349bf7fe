//! Event log: the events of all tasks in one stream.
//!
//! Many subscribers may follow it without a read of the store for each: one reader broadcasts new events to all. A
//! subscriber reads the store itself until it has caught up, and again when it has lagged behind the broadcast, so
//! nothing is buffered for slow subscribers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, stream};
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};

use super::api::Shared;
use super::events::{POLL, woken};
use crate::domain::{EventPosition, FeedEvent, UserId};
use crate::error::{Error, Result};
use crate::ports::WakeUp;

/// New and stored events in the order of the event log.
pub type FeedStream = Pin<Box<dyn Stream<Item = Result<Arc<FeedEvent>>> + Send>>;

/// The event log from some position on.
pub struct Feed {
    /// Position at which it was opened: all events of the stream come after it.
    pub after: EventPosition,
    /// Stored events, then new ones.
    pub events: FeedStream,
}

/// Number of events that a subscriber may lag behind the broadcast before it reads the store itself.
const BROADCAST_CAPACITY: usize = 256;
/// Number of events read from the store at once.
const PAGE_SIZE: u32 = 64;

/// Broadcasts new events to all subscribers, while there are any.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// Sender of the running reader, which owns the strong reference: the channel closes when the reader ends.
    live: Mutex<Option<broadcast::WeakSender<Arc<FeedEvent>>>>,
}

impl Relay {
    /// Subscribes to new events, and starts the reader if none is running. The channel closes when the reader ends.
    async fn follow(&self, shared: &Arc<Shared>) -> Result<broadcast::Receiver<Arc<FeedEvent>>> {
        let mut live = self.live.lock().await;
        if let Some(sender) = live.as_ref().and_then(broadcast::WeakSender::upgrade) {
            return Ok(sender.subscribe());
        }
        let wake_ups = shared.parts.store.subscribe();
        // Read before any subscriber reads the store, so that there is no gap between its reads and the broadcast.
        let after = shared.parts.store.feed_end().await?;
        let (sender, receiver) = broadcast::channel(BROADCAST_CAPACITY);
        *live = Some(sender.downgrade());
        shared.tracker.spawn(relay(shared.clone(), sender, wake_ups, after));
        Ok(receiver)
    }
}

async fn relay(
    shared: Arc<Shared>,
    sender: broadcast::Sender<Arc<FeedEvent>>,
    mut wake_ups: broadcast::Receiver<WakeUp>,
    mut after: EventPosition,
) {
    let (store, clock) = (shared.parts.store.as_ref(), shared.parts.clock.as_ref());
    while sender.receiver_count() > 0 && !shared.closing.is_cancelled() {
        // Drains the wake-ups: one read covers them all.
        while matches!(wake_ups.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        let read = store.feed_after(None, after, PAGE_SIZE).await;
        let failed = read.is_err();
        match read {
            Ok(page) => {
                let more = page.len() >= PAGE_SIZE as usize;
                for entry in page {
                    after = entry.position;
                    // Sending fails only without subscribers, and then the loop ends.
                    let _ = sender.send(Arc::new(entry));
                }
                if more {
                    continue;
                }
            }
            Err(e) => tracing::warn!(error = %e, "reading the event log failed; retrying"),
        }
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = clock.sleep(POLL), if failed => {}
            () = woken(&mut wake_ups, clock, |_| true), if !failed => {}
        }
    }
}

/// Opens the event log of `owner`, or of all, after this position, or at its current end.
pub(super) async fn open(
    shared: Arc<Shared>,
    owner: Option<UserId>,
    after: Option<EventPosition>,
) -> Result<Feed> {
    let live = shared.relay.follow(&shared).await?;
    let end = shared.parts.store.feed_end().await?;
    // A new subscriber starts at the oldest retained event; one that continues after removed events would miss them, so
    // it is rejected.
    if let Some(after) = after.filter(|after| *after > EventPosition(0))
        && after < shared.parts.store.feed_begin().await?
    {
        let why = "events that came after this one have been removed; start without `after`";
        return Err(Error::conflict(why).with_field("after"));
    }
    let after = after.unwrap_or(end);
    if after > end {
        return Err(Error::invalid(
            "after",
            "expected the id of an event of this server; there is no later one",
        ));
    }
    let following = Following { shared, owner, after, live, behind: true, read: VecDeque::new() };
    let events = stream::try_unfold(following, |mut following| async move {
        Ok(following.next().await?.map(|entry| (entry, following)))
    });
    Ok(Feed { after, events: Box::pin(events) })
}

struct Following {
    shared: Arc<Shared>,
    owner: Option<UserId>,
    after: EventPosition,
    live: broadcast::Receiver<Arc<FeedEvent>>,
    /// Whether the store may have events that will not come through `live`.
    behind: bool,
    read: VecDeque<FeedEvent>,
}

impl Following {
    async fn next(&mut self) -> Result<Option<Arc<FeedEvent>>> {
        loop {
            if let Some(entry) = self.read.pop_front() {
                self.after = entry.position;
                return Ok(Some(Arc::new(entry)));
            }
            if self.behind {
                let page = self.shared.parts.store.feed_after(self.owner, self.after, PAGE_SIZE).await?;
                self.behind = page.len() >= PAGE_SIZE as usize;
                self.read.extend(page);
                continue;
            }
            let closing = self.shared.closing.clone();
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
                    self.live = self.shared.relay.follow(&self.shared).await?;
                    self.behind = true;
                }
            }
        }
    }
}
