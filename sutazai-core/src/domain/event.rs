//! What happened to a task, numbered without gaps from 1.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{TaskId, UserId};
use super::outcome::TaskError;
use super::status::TaskStatus;
use crate::error::{Error, Result};

/// One entry in a task's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// The task.
    pub task_id: TaskId,
    /// 1, 2, 3 ... without gaps within the task.
    pub sequence: u64,
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The task entered this status.
    Status {
        /// The new status.
        status: TaskStatus,
        /// The attempt it belongs to.
        attempt: u32,
        /// Why, where there is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<TaskError>,
    },
    /// The agent got further.
    Progress {
        /// 0.0 to 1.0.
        fraction: f32,
        /// What it is doing now.
        message: String,
    },
    /// Text that the model is writing, as it comes.
    Text {
        /// The next piece.
        text: String,
    },
}

impl EventKind {
    /// The name of the variant in snake case: the SSE event name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Progress { .. } => "progress",
            Self::Text { .. } => "text",
        }
    }
}

/// Where an event stands among those of all tasks of a store. A larger one is later; there are gaps, and the numbers
/// mean nothing else. Written in decimal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPosition(pub u128);

impl fmt::Display for EventPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventPosition {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let digits = Some(s).filter(|s| s.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|s| s.parse().ok());
        number
            .map(Self)
            .ok_or_else(|| Error::invalid("after", "expected the id of an event, as it was given"))
    }
}

/// One entry in the feed: the events of all tasks of a store, in one order.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedEvent {
    /// Where it stands.
    pub position: EventPosition,
    /// Whose the task is.
    pub owner: Option<UserId>,
    /// What happened.
    pub event: TaskEvent,
}

/// An event that an agent reports; the store numbers it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EventKind,
}
