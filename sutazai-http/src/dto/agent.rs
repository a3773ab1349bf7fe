//! Agents, and the main job in one call.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sutazai_core::domain::{AgentDescriptor, Task};
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
}

/// All agents of this server, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentList {
    items: Vec<AgentView>,
}

impl From<Vec<AgentDescriptor>> for AgentList {
    fn from(agents: Vec<AgentDescriptor>) -> Self {
        let view = |agent: AgentDescriptor| AgentView {
            name: agent.name,
            description: agent.description,
            capabilities: agent.capabilities,
            input_schema: agent.input_schema,
        };
        Self { items: agents.into_iter().map(view).collect() }
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
