//! Relay: reads the event log, publishes, and only then advances the position, so events are published at least once.
//! Of all processes that share a store, one at a time runs it under a lease.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::join_all;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio_util::sync::CancellationToken;

use super::reorder_buffer::ReorderBuffer;
use crate::domain::{BusMessage, EventLogEntry, EventOffset, InstanceId, Task, TaskId};
use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Clock, EventLog, MessageBus, RelayClaim, RelayStore, TaskRecords, WakeUp};

/// Number of events published together.
const PAGE_SIZE: u32 = 500;
/// Number of tasks read concurrently: a store may group the reads into one query, but must also serve others.
const TASK_BATCH_SIZE: usize = 64;
/// Lease of the relay: a dead process blocks the others for this long.
const LEASE: Duration = Duration::from_secs(15);
/// Interval at which the event log is polled without wake-ups, and the first delay after a failure.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Interval at which another process checks whether the relay is free.
const STANDBY_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum delay after a failure.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// Relay of events from a store to a message bus.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use sutazai_core::memory::{MemoryMessageBus, MemoryTaskStore};
/// use sutazai_core::ports::SystemClock;
/// use sutazai_core::relay::Relay;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let (tasks, bus) = (Arc::new(MemoryTaskStore::new()), Arc::new(MemoryMessageBus::new(100)));
/// let relay = Relay::new((tasks.clone(), tasks.clone()), tasks.relays(), bus, Arc::new(SystemClock));
/// // Every event from now on is published, by this process or another.
/// relay.begin().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Relay {
    records: Arc<dyn TaskRecords>,
    events: Arc<dyn EventLog>,
    relays: Arc<dyn RelayStore>,
    bus: Arc<dyn MessageBus>,
    clock: Arc<dyn Clock>,
    holder: InstanceId,
}

/// Progress of the current holder.
struct HolderProgress {
    read: EventOffset,
    buffer: ReorderBuffer,
}

impl Relay {
    /// Creates a relay from these stores, which must be of one database, to this bus. Nothing runs before
    /// [`run`](Self::run).
    pub fn new(
        (records, events): (Arc<dyn TaskRecords>, Arc<dyn EventLog>),
        relays: Arc<dyn RelayStore>,
        bus: Arc<dyn MessageBus>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { records, events, relays, bus, clock, holder: InstanceId::new() }
    }

    /// Ensures that all events from now on are published: the first call ever sets the start of the relay.
    ///
    /// # Errors
    /// Those of the stores.
    pub async fn begin(&self) -> Result<()> {
        let end = self.events.event_log_end().await?;
        if self.relays.acquire(&self.claim(), end).await?.is_some() {
            self.relays.release(self.holder).await?;
        }
        Ok(())
    }

    /// Publishes events until `stop` is cancelled, or waits while another process holds the relay. Failures are logged
    /// once and retried with increasing delays of up to 30 s.
    pub async fn run(&self, stop: CancellationToken) {
        let mut wake_ups = self.events.subscribe();
        let mut wait = POLL_INTERVAL;
        let mut away = false;
        while !stop.is_cancelled() {
            let passed = stop.run_until_cancelled(self.pass(&mut wake_ups, &mut away)).await;
            let pause = match passed {
                None => break,
                Some(Ok(())) => {
                    // Another process holds the relay: earlier failures here say nothing about the next attempt.
                    wait = POLL_INTERVAL;
                    STANDBY_INTERVAL
                }
                // The lease expired during a delay, and another process has taken over.
                Some(Err(e)) if e.kind() == ErrorKind::Conflict => STANDBY_INTERVAL,
                Some(Err(e)) => {
                    self.release().await;
                    if !away {
                        tracing::warn!(error = %e, "publishing events failed; they are kept and retried");
                        away = true;
                        wait = POLL_INTERVAL;
                    }
                    wait = (wait * 2).min(MAX_RETRY_DELAY);
                    wait / 2
                }
            };
            stop.run_until_cancelled(self.clock.sleep(pause)).await;
        }
        self.release().await;
    }

    /// Publishes events as long as this process holds the relay and nothing fails.
    async fn pass(&self, wake_ups: &mut broadcast::Receiver<WakeUp>, away: &mut bool) -> Result<()> {
        let end = self.events.event_log_end().await?;
        let Some(read) = self.relays.acquire(&self.claim(), end).await? else { return Ok(()) };
        let mut progress = HolderProgress { read, buffer: ReorderBuffer::default() };
        // A process that cannot reach the bus must not keep the relay from one that can.
        self.bus.ping().await?;
        if std::mem::take(away) {
            tracing::info!("publishing events resumed");
        }
        let mut held_at = self.clock.now();
        let mut looked_at: Option<DateTime<Utc>> = None;
        loop {
            // The outbox is polled, because no notification announces its rows and it is usually empty.
            if looked_at
                .is_none_or(|at| (self.clock.now() - at).to_std().is_ok_and(|since| since >= POLL_INTERVAL))
            {
                self.empty_outbox().await?;
                looked_at = Some(self.clock.now());
            }
            // Drains the wake-ups: one read covers them all.
            while matches!(wake_ups.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
            let page = self.events.event_log_after(None, progress.read, PAGE_SIZE).await?;
            let more = page.next.is_some();
            if !page.items.is_empty() {
                self.publish(&mut progress, page.items, !more).await?;
                self.relays.advance(&self.claim(), progress.buffer.given_up_to(progress.read)).await?;
                held_at = self.clock.now();
            } else if (self.clock.now() - held_at).to_std().is_ok_and(|since| since >= LEASE / 3) {
                if self.relays.acquire(&self.claim(), end).await?.is_none() {
                    return Ok(());
                }
                held_at = self.clock.now();
            }
            if !more {
                self.woken(wake_ups).await;
            }
        }
    }

    async fn publish(
        &self,
        progress: &mut HolderProgress,
        page: Vec<EventLogEntry>,
        end: bool,
    ) -> Result<()> {
        progress.read = page.last().map_or(progress.read, |entry| entry.position);
        let ready = progress.buffer.arrange(page, end);
        let tasks = self.tasks_of(&ready).await?;
        let messages_of_events = ready
            .iter()
            .filter_map(|entry| Some(BusMessage::of_event(&entry.event, tasks.get(&entry.event.task_id)?)));
        self.say(&messages_of_events.collect::<Vec<_>>()).await
    }

    /// Publishes the outbox messages of deleted tasks.
    async fn empty_outbox(&self) -> Result<()> {
        loop {
            let left = self.relays.outbox(PAGE_SIZE).await?;
            if left.is_empty() {
                return Ok(());
            }
            let (numbers, messages): (Vec<u64>, Vec<BusMessage>) =
                left.into_iter().map(|left| (left.number, left.message)).unzip();
            self.say(&messages).await?;
            self.relays.delete_published(&numbers).await?;
            // Renews the lease before the next page, unless another process has taken over.
            let end = self.events.event_log_end().await?;
            if self.relays.acquire(&self.claim(), end).await?.is_none() {
                return Err(Error::conflict("another process holds the relay"));
            }
        }
    }

    async fn say(&self, messages: &[BusMessage]) -> Result<()> {
        // Within the lease: a hanging bus must not keep the relay from other processes.
        tokio::select! {
            published = self.bus.publish(messages) => published,
            () = self.clock.sleep(LEASE * 2 / 3) => Err(Error::timeout("the message bus did not respond in time")),
        }
    }

    /// Reads the tasks of these events. A task deleted meanwhile has left its messages in the outbox.
    async fn tasks_of(&self, entries: &[EventLogEntry]) -> Result<HashMap<TaskId, Task>> {
        let mut ids: Vec<TaskId> = entries.iter().map(|entry| entry.event.task_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut tasks = HashMap::with_capacity(ids.len());
        for some in ids.chunks(TASK_BATCH_SIZE) {
            for task in join_all(some.iter().map(|id| self.records.get(*id))).await {
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
            () = self.clock.sleep(POLL_INTERVAL) => {}
        }
    }

    async fn release(&self) {
        if let Err(e) = self.relays.release(self.holder).await
            && e.kind() != ErrorKind::Unavailable
        {
            tracing::warn!(error = %e, "releasing the relay failed; others wait until its lease expires");
        }
    }

    fn claim(&self) -> RelayClaim {
        RelayClaim { holder: self.holder, lease: LEASE, now: self.clock.now() }
    }
}
