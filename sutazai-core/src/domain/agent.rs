//! What an agent says of itself and what its runs give.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::task::NewTask;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentDescriptor {
    /// Its name in kebab case; the key by which tasks name it.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// What it can do, in snake case.
    pub capabilities: Vec<String>,
    /// JSON Schema (2020-12) of its payload.
    pub input_schema: Value,
}

/// Whether somebody works for an agent, in whichever process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentStatus {
    /// Whether somebody has in the last minute.
    pub online: bool,
    /// When somebody was last seen to.
    pub last_seen_at: Option<DateTime<Utc>>,
}

/// What one run of an agent gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The result.
    Done(Value),
    /// Run these first; then run me again with `state` and the ended children. No worker is held meanwhile.
    Wait {
        /// What to run, in this order; at least one.
        children: Vec<NewTask>,
        /// Handed to the next run.
        state: Value,
    },
}
