//! Task store with fault injection, over the memory store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;
use sutazai_core::domain::{
    AgentMessage, Backlog, Claim, ClaimKey, EventLogEntry, EventOffset, NewEvent, Outcome, OutcomeRecord,
    Page, PageRequest, Pruned, RetentionBatch, Task, TaskEvent, TaskId, TaskQuery, TaskStatistics,
    TaskSummary, UserId,
};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{ClaimRequest, EventLog, LeaseState, TaskQueue, TaskRecords, WakeUp};
use sutazai_core::{Error, Result};
use tokio::sync::Mutex;

/// Task store that fails as often as configured, and rejects the result `"poison"`.
#[derive(Debug)]
pub(crate) struct FaultyTaskStore {
    pub(crate) store: Arc<MemoryTaskStore>,
    pub(crate) faults: AtomicU32,
    pub(crate) log_readings: AtomicU32,
    /// Number of appends that are stored but return an error.
    pub(crate) lost_answers: AtomicU32,
    /// Lock that prevents tasks from being enqueued while it is held.
    pub(crate) adding: Mutex<()>,
    /// Lock that delays the answers of enqueues and claims, which are stored, while it is held.
    pub(crate) answering: Mutex<()>,
    /// Number of enqueues that fail.
    pub(crate) refusals: AtomicU32,
    /// Number of calls that panic instead of failing.
    pub(crate) panics: AtomicU32,
}

impl FaultyTaskStore {
    pub(crate) fn new(store: Arc<MemoryTaskStore>, faults: u32) -> Arc<Self> {
        Arc::new(Self {
            store,
            faults: AtomicU32::new(faults),
            log_readings: AtomicU32::new(0),
            lost_answers: AtomicU32::new(0),
            adding: Mutex::new(()),
            answering: Mutex::new(()),
            refusals: AtomicU32::new(0),
            panics: AtomicU32::new(0),
        })
    }

    fn fault(&self) -> Result<()> {
        assert!(inject(&self.panics).is_ok(), "as asked");
        inject(&self.faults)
    }
}

fn inject(remaining: &AtomicU32) -> Result<()> {
    let left = remaining.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    left.map_or(Ok(()), |_| Err(Error::unavailable("the line is cut")))
}

#[async_trait]
impl TaskQueue for FaultyTaskStore {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        let _adding = self.adding.lock().await;
        inject(&self.refusals)?;
        let added = self.store.enqueue_within(tasks, max_pending).await;
        let _answering = self.answering.lock().await;
        added
    }
    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        self.fault()?;
        let claimed = self.store.claim(request).await;
        let _answering = self.answering.lock().await;
        claimed
    }
    async fn renew(
        &self,
        keys: &[ClaimKey],
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>> {
        self.fault()?;
        self.store.renew(keys, until, now).await
    }
    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        self.fault()?;
        if finished.iter().any(|record| record.outcome == Outcome::Completed(json!("poison"))) {
            return Err(Error::internal("the store chokes on it"));
        }
        self.store.record_outcomes(finished, now).await
    }
    async fn reap(&self, now: DateTime<Utc>) -> Result<u64> {
        assert!(inject(&self.panics).is_ok(), "as asked");
        self.store.reap(now).await
    }
    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>> {
        self.store.next_due(agents).await
    }
    async fn ahead(&self, task: &Task, now: DateTime<Utc>) -> Result<u32> {
        self.store.ahead(task, now).await
    }
    async fn backlog(&self) -> Result<Backlog> {
        self.store.backlog().await
    }
}

#[async_trait]
impl TaskRecords for FaultyTaskStore {
    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        self.store.get(id).await
    }
    async fn list(&self, query: &TaskQuery) -> Result<Page<Task, TaskId>> {
        self.store.list(query).await
    }
    async fn summaries(&self, query: &TaskQuery) -> Result<Page<TaskSummary, TaskId>> {
        self.store.summaries(query).await
    }
    async fn statistics(&self, owner: Option<UserId>) -> Result<TaskStatistics> {
        self.store.statistics(owner).await
    }
    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.store.cancel(id, now).await
    }
    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.store.retry(id, now).await
    }
    async fn delete(&self, id: TaskId) -> Result<()> {
        self.store.delete(id).await
    }
    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.store.delete_all(owner).await
    }
    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned> {
        self.fault()?;
        self.store.prune(look).await
    }
}

#[async_trait]
impl EventLog for FaultyTaskStore {
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()> {
        self.store.append(claim, events).await?;
        inject(&self.lost_answers)
    }
    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>> {
        self.store.events_after(id, after, limit).await
    }
    async fn agent_messages(&self, id: TaskId, page: PageRequest<u64>) -> Result<Page<AgentMessage, u64>> {
        self.store.agent_messages(id, page).await
    }
    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Page<EventLogEntry, EventOffset>> {
        self.log_readings.fetch_add(1, Ordering::SeqCst);
        self.fault()?;
        self.store.event_log_after(owner, after, limit).await
    }
    async fn event_log_end(&self) -> Result<EventOffset> {
        self.store.event_log_end().await
    }
    async fn event_log_begin(&self) -> Result<EventOffset> {
        self.store.event_log_begin().await
    }
    fn subscribe(&self) -> tokio::sync::broadcast::Receiver<WakeUp> {
        self.store.subscribe()
    }
}
