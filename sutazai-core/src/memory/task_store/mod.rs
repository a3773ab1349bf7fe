//! [`TaskStore`](crate::ports::TaskStore) over std collections: one lock, no durability.

mod queue;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use queue::Queue;
use tokio::sync::broadcast;

use super::outbox::Outbox;
use super::relay_store::MemoryRelayStore;
use crate::domain::{
    AgentMessage, Backlog, Claim, ClaimKey, EventLogEntry, EventOffset, NewEvent, OutcomeRecord, Page,
    PageRequest, Pruned, RetentionBatch, Task, TaskEvent, TaskId, TaskQuery, TaskStatistics, TaskSummary,
    UserId,
};
use crate::error::{Error, Result};
use crate::ports::{Announcer, ClaimRequest, EventLog, LeaseState, TaskQueue, TaskRecords, WakeUp};

/// Wake-ups that a subscriber may lag behind before it misses some and has to read everything again.
const SUBSCRIBER_CAPACITY: usize = 1_024;

/// Tasks in memory, lost when the process ends. For tests, examples, and embedders that need no durability.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use sutazai_core::engine::Engine;
/// use sutazai_core::memory::MemoryTaskStore;
///
/// // The default of a builder; named where the relay of the same tasks is needed too.
/// let store = Arc::new(MemoryTaskStore::new());
/// let builder = Engine::builder().task_store(store.clone());
/// let relays = store.relays();
/// ```
#[derive(Debug)]
pub struct MemoryTaskStore {
    queue: Mutex<Queue>,
    relays: Arc<MemoryRelayStore>,
    outbox: Arc<Outbox>,
    announcer: Announcer,
}

impl MemoryTaskStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        let outbox = Arc::new(Outbox::default());
        Self {
            queue: Mutex::default(),
            relays: Arc::new(MemoryRelayStore::new(outbox.clone())),
            outbox,
            announcer: Announcer::new(SUBSCRIBER_CAPACITY),
        }
    }

    /// Returns the relay state of this store.
    pub fn relays(&self) -> Arc<MemoryRelayStore> {
        self.relays.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a change and announces it after releasing the lock, so that woken readers do not contend for it.
    fn change<T>(&self, change: impl FnOnce(&mut Queue) -> T) -> T {
        let (result, effects) = {
            let mut queue = self.lock();
            let result = change(&mut queue);
            (result, queue.take_effects())
        };
        self.announcer.announce(effects);
        result
    }
}

impl Default for MemoryTaskStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl TaskQueue for MemoryTaskStore {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        self.change(|queue| {
            if let Some(id) = queue.taken(&tasks) {
                return Err(Error::conflict(format!("task {id} already exists")));
            }
            queue.check_room(&tasks, max_pending)?;
            let ids: Vec<TaskId> = tasks.into_iter().map(|task| queue.enqueue(task)).collect();
            Ok(ids.into_iter().filter_map(|id| queue.get(id)).collect())
        })
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        Ok(self.change(|queue| queue.claim(request)))
    }

    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>> {
        Ok(self.change(|queue| claims.iter().map(|claim| queue.renew(*claim, lease_until, now)).collect()))
    }

    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        Ok(self
            .change(|queue| finished.into_iter().map(|record| queue.record_outcome(record, now)).collect()))
    }

    async fn reap(&self, now: DateTime<Utc>) -> Result<u64> {
        Ok(self.change(|queue| queue.reap(now)))
    }

    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>> {
        Ok(self.lock().next_due(agents))
    }

    async fn ahead(&self, task: &Task, now: DateTime<Utc>) -> Result<u32> {
        Ok(self.lock().ahead(task, now))
    }

    async fn backlog(&self) -> Result<Backlog> {
        Ok(self.lock().backlog())
    }
}

#[async_trait]
impl TaskRecords for MemoryTaskStore {
    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        Ok(self.lock().get(id))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Page<Task, TaskId>> {
        Ok(self.lock().list(query))
    }

    async fn summaries(&self, query: &TaskQuery) -> Result<Page<TaskSummary, TaskId>> {
        Ok(self.lock().summaries(query))
    }

    async fn statistics(&self, owner: Option<UserId>) -> Result<TaskStatistics> {
        Ok(self.lock().statistics(owner))
    }

    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.change(|queue| queue.cancel(id, now))
    }

    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.change(|queue| queue.retry(id, now))
    }

    async fn delete(&self, id: TaskId) -> Result<()> {
        self.change(|queue| queue.delete(id, &self.outbox))
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        Ok(self.change(|queue| queue.delete_all(owner, &self.outbox)))
    }

    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned> {
        Ok(self.change(|queue| queue.prune(look, &self.outbox)))
    }
}

#[async_trait]
impl EventLog for MemoryTaskStore {
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()> {
        self.change(|queue| {
            queue.held(claim)?;
            events.into_iter().try_for_each(|event| queue.append(claim, event.kind, event.at))
        })
    }

    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>> {
        Ok(self.lock().events_after(id, after, limit))
    }

    async fn agent_messages(&self, id: TaskId, page: PageRequest<u64>) -> Result<Page<AgentMessage, u64>> {
        Ok(self.lock().agent_messages(id, page))
    }

    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Page<EventLogEntry, EventOffset>> {
        Ok(self.lock().event_log_after(owner, after, limit))
    }

    async fn event_log_end(&self) -> Result<EventOffset> {
        Ok(self.lock().event_log_end())
    }

    async fn event_log_begin(&self) -> Result<EventOffset> {
        Ok(self.lock().event_log_begin())
    }

    fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.announcer.subscribe()
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::ports::TaskStore;
    use crate::testing::{event_log, task_queue, task_records};

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        let make = || async { Arc::new(MemoryTaskStore::new()) as Arc<dyn TaskStore> };
        task_queue::run_all(make).await;
        task_records::run_all(make).await;
        event_log::run_all(make).await;
    }
}
