//! What the engine measures about attempts, through the `metrics` facade: nothing is kept unless the program installs a
//! recorder. Which status tasks enter is counted by the store, which alone knows of all of it.

use std::time::Duration;

use metrics::histogram;

use crate::domain::{Outcome, TaskStatus};

/// An attempt ended after so long.
pub(super) fn attempted(agent: &str, took: Duration) {
    histogram!("task_duration_seconds", "agent" => agent.to_owned()).record(took.as_secs_f64());
}

/// The status that a task enters by it.
pub(super) fn status(outcome: &Outcome) -> TaskStatus {
    match outcome {
        Outcome::Completed(_) => TaskStatus::Completed,
        Outcome::Failed(_) => TaskStatus::Failed,
        Outcome::Cancelled => TaskStatus::Cancelled,
        Outcome::Retry { .. } | Outcome::Wait { .. } | Outcome::HandBack => TaskStatus::Pending,
    }
}
