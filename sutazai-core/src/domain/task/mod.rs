//! Tasks: the stored record with its submission, queries and statistics, and the life cycle that changes it.

pub mod lifecycle;
mod query;
mod record;

pub use query::{FindingCounts, TaskQuery, TaskSearch, TaskSummary};
pub use record::{
    Backlog, Claim, ClaimKey, MAX_AHEAD, NewTask, PRIORITY_AGING, Task, TaskCount, TaskStatistics,
    scheduling_key,
};
