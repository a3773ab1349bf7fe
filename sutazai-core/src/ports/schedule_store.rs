//! Where schedules live.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::domain::{Schedule, ScheduleId, SchedulePage, ScheduleQuery, UserId};
use crate::error::Result;

/// The schedule store.
///
/// # Contract
/// - A created schedule is found by its id, whole; an unknown id finds none.
/// - An owner has at most [`MAX_SCHEDULES`](crate::domain::MAX_SCHEDULES), however many are added at once: one more is `Conflict`. Nobody may have any number.
/// - `list` gives one owner's schedules, or everybody's, newest first, page by page.
/// - `replace` changes everything but the id, the owner, when it was made, when it fired last and for which task; one that is not there is `NotFound`.
/// - `delete` removes a schedule and no other; one that is not there is `NotFound`.
/// - `delete_all` does so with all of one owner's, and tells how many those were.
/// - `upcoming` gives those that have a next time, the earliest first.
/// - `advance` writes the next time, the last one, the last task and the queued times, if the next time and the queued ones are still
///   those that were seen: of those who fire at once one does.
/// - `waiting` gives those that have queued times, in the order of their ids, page by page.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait ScheduleStore: Debug + Send + Sync + 'static {
    /// Adds a schedule.
    async fn create(&self, schedule: &Schedule) -> Result<()>;

    /// The schedule, if there is one.
    async fn get(&self, id: ScheduleId) -> Result<Option<Schedule>>;

    /// A page of schedules.
    async fn list(&self, query: &ScheduleQuery) -> Result<SchedulePage>;

    /// Changes a schedule.
    async fn replace(&self, schedule: &Schedule) -> Result<()>;

    /// Removes a schedule. Its tasks stay.
    async fn delete(&self, id: ScheduleId) -> Result<()>;

    /// Removes all schedules of an owner. Their tasks stay.
    async fn delete_all(&self, owner: UserId) -> Result<u64>;

    /// At most `limit` schedules that fire next.
    async fn upcoming(&self, limit: u32) -> Result<Vec<Schedule>>;

    /// At most `limit` schedules that have queued times, with ids after `after`.
    async fn waiting(&self, after: Option<ScheduleId>, limit: u32) -> Result<Vec<Schedule>>;

    /// Notes that the schedule that was `seen` has fired, and stands as `fired` says; tells whether nobody else was faster.
    async fn advance(&self, seen: &Schedule, fired: &Schedule) -> Result<bool>;
}
