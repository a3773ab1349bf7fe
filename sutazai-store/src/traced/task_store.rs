//! [`TaskStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentMessagePage, Backlog, Claim, ClaimKey, EventLogEntry, EventOffset, NewEvent, OutcomeRecord, Pruned,
    RetentionBatch, Task, TaskEvent, TaskId, TaskPage, TaskQuery, TaskStatistics, UserId,
};
use sutazai_core::ports::{ClaimRequest, LeaseState, TaskStore, WakeUp};
use tokio::sync::broadcast;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedTaskStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn TaskStore>,
}

#[async_trait]
impl TaskStore for TracedTaskStore {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        self.database.traced("INSERT", "tasks", self.store.enqueue_within(tasks, max_pending)).await
    }

    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        self.database.traced("SELECT", "tasks", self.store.get(id)).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<TaskPage> {
        self.database.traced("SELECT", "tasks", self.store.list(query)).await
    }

    async fn statistics(&self) -> Result<TaskStatistics> {
        self.database.traced("SELECT", "tasks", self.store.statistics()).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.database.traced("SELECT", "tasks", self.store.backlog()).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        self.database.traced("UPDATE", "tasks", self.store.claim(request)).await
    }

    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>> {
        self.database.traced("UPDATE", "tasks", self.store.renew(claims, lease_until, now)).await
    }

    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        self.database.traced("UPDATE", "tasks", self.store.record_outcomes(finished, now)).await
    }

    async fn reap(&self, now: DateTime<Utc>) -> Result<u64> {
        self.database.traced("UPDATE", "tasks", self.store.reap(now)).await
    }

    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>> {
        self.database.traced("SELECT", "tasks", self.store.next_due(agents)).await
    }

    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.database.traced("UPDATE", "tasks", self.store.cancel(id, now)).await
    }

    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.database.traced("UPDATE", "tasks", self.store.retry(id, now)).await
    }

    async fn delete(&self, id: TaskId) -> Result<()> {
        self.database.traced("DELETE", "tasks", self.store.delete(id)).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database.traced("DELETE", "tasks", self.store.delete_all(owner)).await
    }

    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned> {
        self.database.traced("DELETE", "tasks", self.store.prune(look)).await
    }

    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()> {
        self.database.traced("INSERT", "task_events", self.store.append(claim, events)).await
    }

    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>> {
        self.database.traced("SELECT", "task_events", self.store.events_after(id, after, limit)).await
    }

    async fn agent_messages(&self, id: TaskId, after: Option<u64>, limit: u32) -> Result<AgentMessagePage> {
        self.database.traced("SELECT", "agent_messages", self.store.agent_messages(id, after, limit)).await
    }

    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Vec<EventLogEntry>> {
        self.database.traced("SELECT", "task_events", self.store.event_log_after(owner, after, limit)).await
    }

    async fn event_log_begin(&self) -> Result<EventOffset> {
        self.database.traced("SELECT", "task_events", self.store.event_log_begin()).await
    }

    async fn event_log_end(&self) -> Result<EventOffset> {
        self.database.traced("SELECT", "task_events", self.store.event_log_end()).await
    }

    fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.store.subscribe()
    }
}
