//! Events of a task, numbered without gaps from 1.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{TaskId, UserId};
use super::status::TaskStatus;
use super::task_error::TaskError;
use crate::error::{Error, Result};

/// One entry in the event log of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskEvent {
    /// Task that the event belongs to.
    pub task_id: TaskId,
    /// Number within the task: 1, 2, 3 ... without gaps.
    pub sequence: u64,
    /// Time at which the event occurred.
    pub at: DateTime<Utc>,
    /// Type and content of the event.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Type and content of a task event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// The task changed to this status.
    Status {
        /// The new status of the task.
        status: TaskStatus,
        /// Number of the attempt that the change belongs to.
        attempt: u32,
        /// Error that caused the change, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<TaskError>,
    },
    /// The agent reported progress.
    Progress {
        /// Completed share, 0.0 to 1.0.
        fraction: f32,
        /// Current activity of the agent, for people.
        message: String,
    },
    /// The model generated text.
    Text {
        /// The next piece of the text.
        text: String,
    },
}

impl EventKind {
    /// Returns the variant's name in snake case, which is also the SSE event name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Progress { .. } => "progress",
            Self::Text { .. } => "text",
        }
    }

    /// Returns the size in bytes of the text in the event, which a page of events counts.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Status { error, .. } => error.as_ref().map_or(0, |error| error.message.len()),
            Self::Progress { message, .. } => message.len(),
            Self::Text { text } => text.len(),
        }
    }
}

/// Offset of an event in the event log of all tasks of a store, written in decimal. Later events have larger offsets;
/// there are gaps, and the numbers have no other meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventOffset(pub u128);

impl fmt::Display for EventOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventOffset {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let digits = Some(s).filter(|s| s.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|s| s.parse().ok());
        number.map(Self).ok_or_else(|| Error::invalid("after", "expected the id of an event, unchanged"))
    }
}

/// One entry of the event log that covers all tasks of a store in one order.
#[derive(Debug, Clone, PartialEq)]
pub struct EventLogEntry {
    /// Offset in the event log.
    pub position: EventOffset,
    /// Owner of the task.
    pub owner: Option<UserId>,
    /// The event with its task and sequence number.
    pub event: TaskEvent,
}

/// Page of the event log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventLogPage {
    /// The entries of this page, in the order of the log.
    pub items: Vec<EventLogEntry>,
    /// Indicates that the page ended at its limit, so that there may be more entries.
    pub more: bool,
}

/// An event reported by an agent; the store assigns its sequence number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Time at which the event occurred.
    pub at: DateTime<Utc>,
    /// Type and content of the event.
    pub kind: EventKind,
}
