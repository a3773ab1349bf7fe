//! Outcome of an attempt, as the worker reports it to the store.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::agent::WaitUntil;
use super::id::TaskId;
use super::task::{ClaimKey, Task};
use super::task_error::TaskError;

/// Outcome of one attempt at a task.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The attempt succeeded with this result.
    Completed(Value),
    /// The attempt failed and none is left: the task becomes a dead letter.
    Failed(TaskError),
    /// The attempt failed and is retried at this instant. Counts as a failure.
    Retry {
        /// Time at which the task becomes due again.
        at: DateTime<Utc>,
        /// Error that caused the retry.
        error: TaskError,
    },
    /// The task waits for children, then runs again. Does not count as a failure.
    Wait(Wait),
    /// The worker shuts down and releases the claim; the task is due at once. Does not count as a failure.
    Released,
    /// The attempt was cancelled on request.
    Cancelled,
}

/// Children that a task waits for, and the state with which it runs again.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// Children of the previous wait that had not ended when the task was claimed, in the order of their submission; the
    /// task continues to wait for them.
    pub unfinished: Vec<TaskId>,
    /// New tasks, already validated; the store sets only their parent.
    pub children: Vec<Task>,
    /// Number of children that must end before the task is due.
    pub until: WaitUntil,
    /// State that the next run receives unchanged.
    pub state: Value,
}

impl Outcome {
    /// Creates the outcome that waits until all of these new tasks have ended.
    pub fn wait_for_all(children: Vec<Task>, state: Value) -> Self {
        Self::Wait(Wait { unfinished: Vec::new(), children, until: WaitUntil::All, state })
    }
}

/// Outcome of an attempt, fenced by its claim.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeRecord {
    /// Claim under which the task ran.
    pub claim: ClaimKey,
    /// Outcome to record for the claim.
    pub outcome: Outcome,
}
