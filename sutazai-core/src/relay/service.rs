//! Reads the feed, publishes, and only then moves the position: what was published and not written down is published
//! again. Of all processes that share a store one does it at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use super::message::message;
use super::order::Order;
use crate::domain::{EventPosition, FeedEvent, Task, TaskId, WorkerId};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{BusMessage, Clock, MessageBus, RelayClaim, RelayStore, TaskStore, WakeUp};

/// Events that are passed on together.
const PAGE: u32 = 500;
/// Tasks that are asked for together: a store may answer those with one look, but others want to ask it too.
const TOGETHER: usize = 64;
/// How long a process that died is waited for.
const LEASE: Duration = Duration::from_secs(15);
/// The time between two looks at the feed when nothing wakes, and the first wait after a failure.
const POLL: Duration = Duration::from_secs(1);
/// The time between two looks at whether another still passes the events on.
const ASIDE: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
const CAP: Duration = Duration::from_secs(30);

/// Passes events on from a store to a bus.
#[derive(Debug)]
pub struct Relay {
    tasks: Arc<dyn TaskStore>,
    relays: Arc<dyn RelayStore>,
    bus: Arc<dyn MessageBus>,
    clock: Arc<dyn Clock>,
    holder: WorkerId,
}

/// Where one holder stands.
struct Standing {
    read: EventPosition,
    order: Order,
}

impl Relay {
    /// From these stores, which are of one database, to this bus. Nothing runs before [`run`](Self::run).
    pub fn new(
        tasks: Arc<dyn TaskStore>,
        relays: Arc<dyn RelayStore>,
        bus: Arc<dyn MessageBus>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { tasks, relays, bus, clock, holder: WorkerId::new() }
    }

    /// Makes sure that whatever happens from now on is passed on: the first time ever the relay begins here.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn begin(&self) -> Result<()> {
        let end = self.tasks.feed_end().await?;
        if self.relays.hold(&self.claim(), end).await?.is_some() {
            self.relays.let_go(self.holder).await?;
        }
        Ok(())
    }

    /// Passes events on until `stop` fires; waits as long as another process does. What fails is told in the log once and
    /// tried again, with longer and longer waits.
    pub async fn run(&self, stop: CancellationToken) {
        let mut wake_ups = self.tasks.subscribe();
        let mut wait = POLL;
        let mut away = false;
        while !stop.is_cancelled() {
            let passed = stop.run_until_cancelled(self.pass(&mut wake_ups, &mut away)).await;
            let pause = match passed {
                None => break,
                Some(Ok(())) => {
                    // Another tells them: what failed here before says nothing of the next time.
                    wait = POLL;
                    ASIDE
                }
                // It was held up for so long that another has gone on.
                Some(Err(e)) if e.kind() == ErrorKind::Conflict => ASIDE,
                Some(Err(e)) => {
                    self.let_go().await;
                    if !away {
                        tracing::warn!(error = %e, "events cannot be passed on at present; they are kept");
                        away = true;
                        wait = POLL;
                    }
                    wait = (wait * 2).min(CAP);
                    wait / 2
                }
            };
            stop.run_until_cancelled(self.clock.sleep(pause)).await;
        }
        self.let_go().await;
    }

    /// Passes events on as long as this process holds the relay and nothing fails.
    async fn pass(&self, wake_ups: &mut broadcast::Receiver<WakeUp>, away: &mut bool) -> Result<()> {
        let end = self.tasks.feed_end().await?;
        let Some(read) = self.relays.hold(&self.claim(), end).await? else { return Ok(()) };
        let mut standing = Standing { read, order: Order::default() };
        // Whoever cannot reach the bus lets another try.
        self.bus.reach().await?;
        if std::mem::take(away) {
            tracing::info!("events are passed on again");
        }
        let mut held_at = self.clock.now();
        let mut looked_at: Option<DateTime<Utc>> = None;
        loop {
            // Nothing wakes for it, and it is seldom that there is something.
            if looked_at.is_none_or(|at| (self.clock.now() - at).to_std().is_ok_and(|since| since >= POLL)) {
                self.empty_outbox().await?;
                looked_at = Some(self.clock.now());
            }
            // However many wake-ups there were, one reading answers them all.
            while matches!(wake_ups.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            let page = self.tasks.feed_after(None, standing.read, PAGE).await?;
            let (more, news) = (page.len() >= PAGE as usize, !page.is_empty());
            if news {
                self.publish(&mut standing, page, !more).await?;
                self.relays.advance(&self.claim(), standing.order.given_up_to(standing.read)).await?;
                held_at = self.clock.now();
            } else if (self.clock.now() - held_at).to_std().is_ok_and(|since| since >= LEASE / 3) {
                if self.relays.hold(&self.claim(), end).await?.is_none() {
                    return Ok(());
                }
                held_at = self.clock.now();
            }
            if !more {
                self.woken(wake_ups).await;
            }
        }
    }

    async fn publish(&self, standing: &mut Standing, page: Vec<FeedEvent>, end: bool) -> Result<()> {
        standing.read = page.last().map_or(standing.read, |entry| entry.position);
        let ready = standing.order.arrange(page, end);
        let tasks = self.tasks_of(&ready).await?;
        let told =
            ready.iter().filter_map(|entry| Some(message(&entry.event, tasks.get(&entry.event.task_id)?)));
        self.say(&told.collect::<Vec<_>>()).await
    }

    /// Passes on what tasks have left that were removed.
    async fn empty_outbox(&self) -> Result<()> {
        loop {
            let left = self.relays.outbox(PAGE).await?;
            if left.is_empty() {
                return Ok(());
            }
            let (numbers, messages): (Vec<u64>, Vec<BusMessage>) =
                left.into_iter().map(|left| (left.number, left.message)).unzip();
            self.say(&messages).await?;
            self.relays.take_out(&numbers).await?;
            // Another may have taken over meanwhile; otherwise the lease lasts anew.
            let end = self.tasks.feed_end().await?;
            if self.relays.hold(&self.claim(), end).await?.is_none() {
                return Err(Error::conflict("another process passes the events on"));
            }
        }
    }

    async fn say(&self, messages: &[BusMessage]) -> Result<()> {
        // A bus that hangs must not keep the relay from another process for ever.
        tokio::select! {
            published = self.bus.publish(messages) => published,
            () = self.clock.sleep(LEASE * 2 / 3) => Err(Error::timeout("the message bus did not answer in time")),
        }
    }

    /// The tasks that these events are of. One that was removed meanwhile has left in the outbox what it had to tell.
    async fn tasks_of(&self, entries: &[FeedEvent]) -> Result<HashMap<TaskId, Task>> {
        let mut ids: Vec<TaskId> = entries.iter().map(|entry| entry.event.task_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tasks = HashMap::with_capacity(ids.len());
        for some in ids.chunks(TOGETHER) {
            for task in join_all(some.iter().map(|id| self.tasks.get(*id))).await {
                tasks.extend(task?.map(|task| (task.id, task)));
            }
        }
        Ok(tasks)
    }

    async fn woken(&self, wake_ups: &mut broadcast::Receiver<WakeUp>) {
        let heard = async {
            while !matches!(wake_ups.recv().await, Ok(WakeUp::Task(_)) | Err(RecvError::Lagged(_))) {}
        };
        tokio::select! {
            () = heard => {}
            () = self.clock.sleep(POLL) => {}
        }
    }

    async fn let_go(&self) {
        if let Err(e) = self.relays.let_go(self.holder).await
            && e.kind() != ErrorKind::Unavailable
        {
            tracing::warn!(error = %e, "the relay could not be let go of; others wait for its lease");
        }
    }

    fn claim(&self) -> RelayClaim {
        RelayClaim { holder: self.holder, lease: LEASE, now: self.clock.now() }
    }
}
