//! Schedules: tasks that are asked for again and again, by the clock.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{ScheduleId, TaskId, UserId};
use crate::error::Error;

/// What becomes of the times that passed while nobody could fire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedRuns {
    /// They are left out.
    Skip,
    /// One task stands for all of them.
    #[default]
    Once,
    /// Each has its task, the latest 100 of them.
    All,
}

impl MissedRuns {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Once, Self::All];

    /// Its name in the interface and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

impl fmt::Display for MissedRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MissedRuns {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == s);
        found.ok_or_else(|| Error::invalid("missed_runs", format!("expected skip, once or all, got {s:?}")))
    }
}

/// What happens at a time of a schedule while the task of an earlier time has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// The time has no task.
    #[default]
    Skip,
    /// The time has its task when the others have ended; the latest 100 times wait.
    Queue,
    /// The time has its task at once.
    Allow,
}

impl OverlapPolicy {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Queue, Self::Allow];

    /// Its name in the interface and the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }
}

impl fmt::Display for OverlapPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OverlapPolicy {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|policy| policy.as_str() == s);
        found.ok_or_else(|| {
            Error::invalid("overlap_policy", format!("expected skip, queue or allow, got {s:?}"))
        })
    }
}

/// A request for a schedule, and what can be changed of one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// What it is called, 1 to 200 characters; its tasks have it as their title.
    pub name: String,
    /// Who does its tasks.
    pub agent: String,
    /// What the agent gets each time; fits its input schema.
    pub payload: Value,
    /// The priority of its tasks, 0 to 9.
    pub priority: u8,
    /// When: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// Where these are the time, by its name in the IANA database.
    pub time_zone: String,
    /// What becomes of the times that nobody could fire at.
    pub missed_runs: MissedRuns,
    /// What happens while the task of an earlier time has not ended.
    pub overlap_policy: OverlapPolicy,
    /// Whether it fires.
    pub enabled: bool,
}

/// A schedule as it stands in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its key in the store; later ones sort later.
    pub id: ScheduleId,
    /// Whose it is, and whose its tasks are; none when the engine is used without identity.
    pub owner: Option<UserId>,
    /// What it asks for, and when.
    pub plan: NewSchedule,
    /// When it fires next; none when it is not enabled.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The latest time that it fired for.
    pub last_run_at: Option<DateTime<Utc>>,
    /// The task that it asked for last.
    pub last_task: Option<TaskId>,
    /// Times that wait for that task to end, in their order.
    pub queued: Vec<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was changed last.
    pub updated_at: DateTime<Utc>,
}

/// Which schedules to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleQuery {
    /// One owner's only; none: everybody's.
    pub owner: Option<UserId>,
    /// Those made before this one only: where the page before ended.
    pub before: Option<ScheduleId>,
    /// At most so many.
    pub limit: u32,
}

/// One page of schedules, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulePage {
    /// The schedules.
    pub items: Vec<Schedule>,
    /// Hand it back as [`ScheduleQuery::before`] for the next page; none at the end.
    pub next: Option<ScheduleId>,
}
