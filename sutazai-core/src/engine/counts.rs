//! What the engine counts about tasks, through the `metrics` facade: nothing is kept unless the program installs a
//! recorder.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::domain::{Outcome, TaskStatus};

/// A task of this agent has entered this status.
pub(super) fn entered(agent: &str, status: TaskStatus) {
    counter!("tasks_total", "agent" => agent.to_owned(), "status" => status.as_str()).increment(1);
}

/// An attempt ended so, after so long.
pub(super) fn attempted(agent: &str, outcome: &Outcome, took: Duration) {
    histogram!("task_duration_seconds", "agent" => agent.to_owned()).record(took.as_secs_f64());
    entered(agent, status(outcome));
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
