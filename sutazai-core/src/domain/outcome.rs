//! Outcome of an attempt, as the worker reports it to the store.

use chrono::{DateTime, Utc};
use serde_json::Value;

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
    /// The task waits for these children, then runs again with `state`. Does not count as a failure.
    Wait {
        /// New tasks, already validated; the store sets only their parent.
        children: Vec<Task>,
        /// State that the next run receives unchanged.
        state: Value,
    },
    /// The worker shuts down and releases the claim; the task is due at once. Does not count as a failure.
    Released,
    /// The attempt was cancelled on request.
    Cancelled,
}

/// Outcome of an attempt, fenced by its claim.
#[derive(Debug, Clone, PartialEq)]
pub struct OutcomeRecord {
    /// Claim under which the task ran.
    pub claim: ClaimKey,
    /// Outcome to record for the claim.
    pub outcome: Outcome,
}
