//! Metrics of attempts, recorded through the `metrics` facade, which discards them unless the program installs a
//! recorder. Transitions of task status are counted by the stores, which alone know all of them.

use std::time::Duration;

use metrics::histogram;

use crate::domain::{Outcome, TaskStatus};

/// Records the duration of an ended attempt.
pub(crate) fn attempted(agent: &str, took: Duration) {
    histogram!("task_duration_seconds", "agent" => agent.to_owned()).record(took.as_secs_f64());
}

/// Returns the status that the outcome gives to its task.
pub(crate) fn status(outcome: &Outcome) -> TaskStatus {
    match outcome {
        Outcome::Completed(_) => TaskStatus::Completed,
        Outcome::Failed(_) => TaskStatus::Failed,
        Outcome::Cancelled => TaskStatus::Cancelled,
        Outcome::Retry { .. } | Outcome::Wait(_) | Outcome::Released => TaskStatus::Pending,
    }
}
