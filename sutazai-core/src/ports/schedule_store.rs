//! Store of schedules and their due times.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{Page, PageRequest, Schedule, ScheduleId, UserId};
use crate::error::Result;

/// Store of schedules with their due times.
///
/// # Contract
/// - A created schedule is found by its id with all its fields; an unknown id finds none.
/// - An owner has at most [`MAX_SCHEDULES`](crate::domain::MAX_SCHEDULES), also under concurrent creation: one more is
///   `Conflict`. Schedules without an owner have no limit.
/// - `list` returns the schedules of one owner, or of all, newest first, page by page.
/// - A page of `list` with several schedules holds at most a megabyte of payloads; a larger schedule has a page of its own.
/// - `replace` changes everything except the id, the owner, the creation time, and the time and task of the last run;
///   an unknown schedule is `NotFound`.
/// - `delete` removes a schedule and no other; an unknown one is `NotFound`.
/// - `delete_all` removes all schedules of one owner and returns their number.
/// - `upcoming` returns the schedules that have a next time, the earliest first.
/// - `advance` stores the next time, the last time, the last task and the queued times, if the next and the queued
///   times are unchanged: of concurrent calls one succeeds.
/// - `waiting` returns the schedules that have queued times, in the order of their ids, page by page.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use sutazai_core::engine::Engine;
/// use sutazai_core::memory::MemoryScheduleStore;
/// use sutazai_core::ports::ScheduleStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let store = Arc::new(MemoryScheduleStore::new());
/// let engine = Engine::builder().schedule_store(store.clone()).start().await?;
/// assert!(store.upcoming(10).await?.is_empty(), "nothing fires before a schedule is created");
/// engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait ScheduleStore: Debug + Send + Sync + 'static {
    /// Stores a new schedule.
    ///
    /// # Errors
    /// `Conflict` if the owner has [`MAX_SCHEDULES`](crate::domain::MAX_SCHEDULES).
    async fn create(&self, schedule: &Schedule) -> Result<()>;

    /// Returns the schedule, if there is one.
    async fn get(&self, id: ScheduleId) -> Result<Option<Schedule>>;

    /// Returns one page of the schedules of `owner`, or of all.
    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ScheduleId>,
    ) -> Result<Page<Schedule, ScheduleId>>;

    /// Replaces the plan and the due times of a schedule.
    ///
    /// # Errors
    /// `NotFound` for an unknown schedule.
    async fn replace(&self, schedule: &Schedule) -> Result<()>;

    /// Removes a schedule. Its tasks stay.
    ///
    /// # Errors
    /// `NotFound` for an unknown schedule.
    async fn delete(&self, id: ScheduleId) -> Result<()>;

    /// Removes all schedules of an owner and returns their number. Their tasks stay.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;

    /// Returns at most `limit` schedules that fire next.
    async fn upcoming(&self, limit: u32) -> Result<Vec<Schedule>>;

    /// Returns at most `limit` schedules that have queued times, with ids after `after`.
    async fn waiting(&self, after: Option<ScheduleId>, limit: u32) -> Result<Vec<Schedule>>;

    /// Stores the state of `fired` if the schedule still is as it was `seen`; returns whether it was.
    async fn advance(&self, seen: &Schedule, fired: &Schedule) -> Result<bool>;
}
