//! [`ScheduleStore`] over std collections: one lock, no durability.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::listing::newest_first;
use crate::domain::{MAX_SCHEDULES, Page, PageRequest, Schedule, ScheduleId, UserId, quota};
use crate::error::{Error, Result};
use crate::ports::ScheduleStore;

/// Schedules in memory, lost when the process ends. For tests, examples, and embedders that need no durability.
#[derive(Debug, Default)]
pub struct MemoryScheduleStore {
    kept: Mutex<BTreeMap<ScheduleId, Schedule>>,
}

impl MemoryScheduleStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ScheduleId, Schedule>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: ScheduleId) -> Error {
    Error::not_found(format!("schedule {id}"))
}

#[async_trait]
impl ScheduleStore for MemoryScheduleStore {
    async fn create(&self, schedule: &Schedule) -> Result<()> {
        let mut kept = self.lock();
        let owned = kept.values().filter(|other| schedule.owner.is_some() && other.owner == schedule.owner);
        if owned.count() >= MAX_SCHEDULES as usize {
            return Err(quota::too_many("schedules", MAX_SCHEDULES));
        }
        kept.insert(schedule.id, schedule.clone());
        Ok(())
    }

    async fn get(&self, id: ScheduleId) -> Result<Option<Schedule>> {
        Ok(self.lock().get(&id).cloned())
    }

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ScheduleId>,
    ) -> Result<Page<Schedule, ScheduleId>> {
        let kept = self.lock();
        let owned = |schedule: &Schedule| owner.is_none() || schedule.owner == owner;
        let bytes = |schedule: &Schedule| schedule.plan.payload.to_string().len();
        Ok(newest_first(&kept, page, owned, |schedule| schedule, bytes))
    }

    async fn replace(&self, schedule: &Schedule) -> Result<()> {
        let mut kept = self.lock();
        let known = kept.get_mut(&schedule.id).ok_or_else(|| missing(schedule.id))?;
        *known = Schedule {
            owner: known.owner,
            created_at: known.created_at,
            last_run_at: known.last_run_at,
            last_task: known.last_task,
            ..schedule.clone()
        };
        Ok(())
    }

    async fn delete(&self, id: ScheduleId) -> Result<()> {
        self.lock().remove(&id).map(|_| ()).ok_or_else(|| missing(id))
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        let mut all = self.lock();
        let before = all.len();
        all.retain(|_, kept| kept.owner != Some(owner));
        Ok((before - all.len()) as u64)
    }

    async fn upcoming(&self, limit: u32) -> Result<Vec<Schedule>> {
        let kept = self.lock();
        let mut upcoming: Vec<_> = kept.values().filter(|schedule| schedule.next_run_at.is_some()).collect();
        upcoming.sort_by_key(|schedule| (schedule.next_run_at, schedule.id));
        Ok(upcoming.into_iter().take(limit as usize).cloned().collect())
    }

    async fn waiting(&self, after: Option<ScheduleId>, limit: u32) -> Result<Vec<Schedule>> {
        let kept = self.lock();
        let waiting = kept.values().filter(|schedule| !schedule.queued.is_empty());
        let following = waiting.filter(|schedule| after.is_none_or(|after| schedule.id > after));
        Ok(following.take(limit as usize).cloned().collect())
    }

    async fn advance(&self, seen: &Schedule, fired: &Schedule) -> Result<bool> {
        let mut kept = self.lock();
        let is_unchanged =
            |now: &&mut Schedule| now.next_run_at == seen.next_run_at && now.queued == seen.queued;
        let Some(schedule) = kept.get_mut(&seen.id).filter(is_unchanged) else { return Ok(false) };
        schedule.next_run_at = fired.next_run_at;
        schedule.last_run_at = fired.last_run_at;
        schedule.last_task = fired.last_task;
        schedule.queued.clone_from(&fired.queued);
        Ok(true)
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn conforms() {
        crate::testing::schedule_store::run_all(|| async { Arc::new(MemoryScheduleStore::new()) }).await;
    }
}
