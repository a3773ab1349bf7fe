//! Agents, and the main job in one call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sutazai_core::domain::{AgentDescriptor, AgentStatus, Task};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::dto::task::TaskView;

/// What an agent says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
struct AgentView {
    /// How tasks name it.
    #[schema(example = "hardware-optimizer")]
    name: String,
    description: String,
    capabilities: Vec<String>,
    /// JSON Schema (2020-12) of what it takes as `payload`.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// Whether a process has worked for it in the last minute, this one or another; null where that cannot be told.
    online: Option<bool>,
    /// When somebody was last seen to.
    #[schema(nullable)]
    last_seen_at: Option<DateTime<Utc>>,
}

/// All agents of this server, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentList {
    items: Vec<AgentView>,
}

impl AgentList {
    /// These agents, and whether somebody works for each, where that can be told.
    pub(crate) fn new(agents: Vec<AgentDescriptor>, statuses: Option<Vec<AgentStatus>>) -> Self {
        let statuses = statuses.unwrap_or_default().into_iter().map(Some).chain(std::iter::repeat(None));
        let view = |(agent, status): (AgentDescriptor, Option<AgentStatus>)| AgentView {
            name: agent.name,
            description: agent.description,
            capabilities: agent.capabilities,
            input_schema: agent.input_schema,
            online: status.map(|status| status.online),
            last_seen_at: status.and_then(|status| status.last_seen_at),
        };
        Self { items: agents.into_iter().zip(statuses).map(view).collect() }
    }
}

/// How to analyse this machine.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Analyze {
    /// Whether a model writes the recommendations; without, the rules do.
    pub(crate) use_model: bool,
}

impl Default for Analyze {
    fn default() -> Self {
        Self { use_model: true }
    }
}

/// An analysis that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnalysisTask {
    /// The same as in `task`.
    task_id: Uuid,
    task: TaskView,
}

impl From<Task> for AnalysisTask {
    fn from(task: Task) -> Self {
        Self { task_id: task.id.0, task: task.into() }
    }
}
