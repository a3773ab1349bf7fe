//! [`ScheduleStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use sutazai_core::Result;
use sutazai_core::domain::{Schedule, ScheduleId, SchedulePage, ScheduleQuery, UserId};
use sutazai_core::ports::ScheduleStore;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedScheduleStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn ScheduleStore>,
}

#[async_trait]
impl ScheduleStore for TracedScheduleStore {
    async fn create(&self, schedule: &Schedule) -> Result<()> {
        self.database.traced("INSERT", "schedules", self.store.create(schedule)).await
    }

    async fn get(&self, id: ScheduleId) -> Result<Option<Schedule>> {
        self.database.traced("SELECT", "schedules", self.store.get(id)).await
    }

    async fn list(&self, query: &ScheduleQuery) -> Result<SchedulePage> {
        self.database.traced("SELECT", "schedules", self.store.list(query)).await
    }

    async fn replace(&self, schedule: &Schedule) -> Result<()> {
        self.database.traced("UPDATE", "schedules", self.store.replace(schedule)).await
    }

    async fn delete(&self, id: ScheduleId) -> Result<()> {
        self.database.traced("DELETE", "schedules", self.store.delete(id)).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database.traced("DELETE", "schedules", self.store.delete_all(owner)).await
    }

    async fn upcoming(&self, limit: u32) -> Result<Vec<Schedule>> {
        self.database.traced("SELECT", "schedules", self.store.upcoming(limit)).await
    }

    async fn waiting(&self, after: Option<ScheduleId>, limit: u32) -> Result<Vec<Schedule>> {
        self.database.traced("SELECT", "schedules", self.store.waiting(after, limit)).await
    }

    async fn advance(&self, seen: &Schedule, fired: &Schedule) -> Result<bool> {
        self.database.traced("UPDATE", "schedules", self.store.advance(seen, fired)).await
    }
}
