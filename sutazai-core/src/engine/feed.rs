//! The feed: the events of all tasks in one stream.
//!
//! Many may follow it, and the store is not read once for each: one relay reads what is new and hands it to all. A
//! follower reads the store itself until it has caught up, and again when it has fallen behind the relay, so nothing is
//! kept for one that is slow.

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

/// Events as they come into the feed.
pub type FeedStream = Pin<Box<dyn Stream<Item = Result<Arc<FeedEvent>>> + Send>>;

/// The feed from some position on.
pub struct Feed {
    /// Where it was opened: all that `events` gives stands after this.
    pub after: EventPosition,
    /// What is there, then what comes.
    pub events: FeedStream,
}

/// So many events a follower may be behind the relay before it reads the store itself.
const RING: usize = 256;
const PAGE: u32 = 64;

/// Reads the feed for all who follow it, while there are any.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// The sender is the relay's own: it ends with it.
    live: Mutex<Option<broadcast::WeakSender<Arc<FeedEvent>>>>,
}

impl Relay {
    /// What comes into the feed from now on. Closed when the relay ends.
    async fn follow(&self, shared: &Arc<Shared>) -> Result<broadcast::Receiver<Arc<FeedEvent>>> {
        let mut live = self.live.lock().await;
        if let Some(sender) = live.as_ref().and_then(broadcast::WeakSender::upgrade) {
            return Ok(sender.subscribe());
        }
        let wake_ups = shared.parts.store.subscribe();
        // Before any follower reads the store: between its reading and the relay's there is no gap.
        let after = shared.parts.store.feed_end().await?;
        let (sender, receiver) = broadcast::channel(RING);
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
        // However many wake-ups there were, one reading answers them all.
        while matches!(wake_ups.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        let read = store.feed_after(None, after, PAGE).await;
        let failed = read.is_err();
        match read {
            Ok(page) => {
                let more = page.len() >= PAGE as usize;
                for entry in page {
                    after = entry.position;
                    // An error says that nobody follows any more.
                    let _ = sender.send(Arc::new(entry));
                }
                if more {
                    continue;
                }
            }
            Err(e) => tracing::warn!(error = %e, "the feed cannot be read at present"),
        }
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = clock.sleep(POLL), if failed => {}
            () = woken(&mut wake_ups, clock, |_| true), if !failed => {}
        }
    }
}

/// The feed of `owner`, or of all, after this position, or from now on.
pub(super) async fn open(
    shared: Arc<Shared>,
    owner: Option<UserId>,
    after: Option<EventPosition>,
) -> Result<Feed> {
    let live = shared.relay.follow(&shared).await?;
    let end = shared.parts.store.feed_end().await?;
    // Who has read nothing yet begins with what there is; who goes on would miss what was removed.
    if let Some(after) = after.filter(|after| *after > EventPosition(0))
        && after < shared.parts.store.feed_begin().await?
    {
        let why = "events that came after this one were removed since; begin anew";
        return Err(Error::conflict(why).with_field("after"));
    }
    let after = after.unwrap_or(end);
    if after > end {
        return Err(Error::invalid(
            "after",
            "expected the id of an event of this server; there is none so late",
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
    /// The store may have what will not come through `live`.
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
                let page = self.shared.parts.store.feed_after(self.owner, self.after, PAGE).await?;
                self.behind = page.len() >= PAGE as usize;
                self.read.extend(page);
                continue;
            }
            let closing = self.shared.closing.clone();
            let heard = tokio::select! {
                heard = self.live.recv() => heard,
                () = closing.cancelled() => return Ok(None),
            };
            match heard {
                // What was read from the store already comes once more.
                Ok(entry) if entry.position <= self.after => {}
                Ok(entry) => {
                    self.after = entry.position;
                    if self.owner.is_none() || entry.owner == self.owner {
                        return Ok(Some(entry));
                    }
                }
                Err(RecvError::Lagged(_)) => self.behind = true,
                // The relay ended just when this follower came.
                Err(RecvError::Closed) => {
                    self.live = self.shared.relay.follow(&self.shared).await?;
                    self.behind = true;
                }
            }
        }
    }
}
