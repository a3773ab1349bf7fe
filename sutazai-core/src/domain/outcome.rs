//! How an attempt ended, as the worker reports it to the store.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::task::{ClaimKey, Task};
use crate::error::{Error, ErrorKind};

/// The error of an attempt, as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskError {
    /// Its kind.
    pub kind: ErrorKind,
    /// A sentence for people. The text of an internal error is not shown to callers.
    pub message: String,
}

impl From<&Error> for TaskError {
    fn from(e: &Error) -> Self {
        Self { kind: e.kind(), message: e.public_text() }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Completed(Value),
    /// With an error and no attempt left: the task becomes a dead letter.
    Failed(TaskError),
    /// With an error; try again at this instant. Counts as a failure.
    Retry {
        /// When.
        at: DateTime<Utc>,
        /// Why.
        error: TaskError,
    },
    /// Not ended: these children first, then hand `state` to the next run. Counts no failure.
    Wait {
        /// New tasks, already checked; the store sets nothing in them but their parent.
        children: Vec<Task>,
        /// Kept for the next run.
        state: Value,
    },
    /// The worker stops and hands it back, due at once. Counts no failure.
    HandBack,
    /// Stopped on request.
    Cancelled,
}

/// An outcome under its claim's fence.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// Whose outcome it is.
    pub claim: ClaimKey,
    /// How it ended.
    pub outcome: Outcome,
}
