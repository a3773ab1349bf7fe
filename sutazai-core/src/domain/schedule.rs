//! Schedules: tasks submitted repeatedly at the times of a cron pattern.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{ScheduleId, TaskId, UserId};
use crate::error::Error;

/// Policy for the times that passed while no process could fire the schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedRuns {
    /// Missed times are skipped.
    Skip,
    /// One task is submitted for all missed times together.
    #[default]
    Once,
    /// Each missed time has its task, limited to the latest 100.
    All,
}

impl MissedRuns {
    /// Every policy, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Once, Self::All];

    /// Returns the name used in the API and the store.
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

/// Policy for a time of a schedule at which the task of an earlier time has not ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverlapPolicy {
    /// The time is skipped.
    #[default]
    Skip,
    /// The task is submitted once the earlier ones have ended; the latest 100 times are queued.
    Queue,
    /// The task is submitted at once.
    Allow,
}

impl OverlapPolicy {
    /// Every policy, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Skip, Self::Queue, Self::Allow];

    /// Returns the name used in the API and the store.
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

/// Request to create a schedule; also the changeable part of an existing one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Name of 1 to 200 characters, also the title of its tasks.
    pub name: String,
    /// Name of the agent that runs its tasks.
    pub agent: String,
    /// Payload of each task; fits the agent's input schema.
    pub payload: Value,
    /// Priority of its tasks, 0 to 9.
    pub priority: u8,
    /// Cron pattern: minute, hour, day of month, month, day of week.
    pub cron: String,
    /// Time zone of the pattern, as a name of the IANA database.
    pub time_zone: String,
    /// Policy for the times that passed while no process could fire.
    pub missed_runs: MissedRuns,
    /// Policy for a time at which an earlier task has not ended.
    pub overlap_policy: OverlapPolicy,
    /// Enables the schedule; a disabled one does not fire.
    pub enabled: bool,
}

/// A stored schedule with its state.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Primary key; ids of later schedules sort later.
    pub id: ScheduleId,
    /// Owner of the schedule and its tasks; `None` if the engine is used without identity.
    pub owner: Option<UserId>,
    /// Pattern, policies and the task to submit.
    pub plan: NewSchedule,
    /// Next time at which it fires; `None` if it is disabled.
    pub next_run_at: Option<DateTime<Utc>>,
    /// Latest time for which it fired.
    pub last_run_at: Option<DateTime<Utc>>,
    /// The task that it submitted last.
    pub last_task: Option<TaskId>,
    /// Queued times that wait for the last task to end, in ascending order.
    pub queued: Vec<DateTime<Utc>>,
    /// Time at which the schedule was created.
    pub created_at: DateTime<Utc>,
    /// Time at which the schedule was last changed.
    pub updated_at: DateTime<Utc>,
}
