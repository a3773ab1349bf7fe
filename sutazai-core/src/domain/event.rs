//! What happened to a task, numbered without gaps from 1.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::TaskId;
use super::outcome::TaskError;
use super::status::TaskStatus;

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

/// An event that an agent reports; the store numbers it.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub kind: EventKind,
}
