//! Description of an agent, its liveness and the result of one run.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::task::NewTask;

/// Self-description of an agent, as its registry lists it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentDescriptor {
    /// Name in kebab case, by which tasks address the agent.
    pub name: String,
    /// One sentence on what the agent does, for people.
    pub description: String,
    /// Capabilities of the agent, in snake case.
    pub capabilities: Vec<String>,
    /// JSON Schema (2020-12) that a task's payload must fit.
    pub input_schema: Value,
}

/// Liveness of an agent over all processes that share the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentStatus {
    /// Indicates that a worker process sent a heartbeat for the agent within the last minute.
    pub online: bool,
    /// Time of the last heartbeat, if there was one.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// Result of one run of an agent.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The task has ended with this result.
    Done(Value),
    /// Runs `children` first, then the agent again with `state` and the ended children. No worker is occupied
    /// meanwhile.
    Wait {
        /// Tasks to run, submitted in this order; at least one.
        children: Vec<NewTask>,
        /// State that the next run receives unchanged.
        state: Value,
    },
}
