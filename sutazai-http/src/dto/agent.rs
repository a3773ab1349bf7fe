//! Agents, and the main job in one call.

use chrono::{DateTime, Utc};
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
    /// Whether somebody has worked for it in the last minute; null where servers and workers share no Redis.
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
    /// These agents, and when somebody was last seen to work for each, where that can be told.
    pub(crate) fn new(agents: Vec<AgentDescriptor>, seen: Option<Vec<Option<DateTime<Utc>>>>) -> Self {
        let told = seen.is_some();
        let seen = seen.unwrap_or_default().into_iter().chain(std::iter::repeat(None));
        let view = |(agent, last_seen_at): (AgentDescriptor, Option<DateTime<Utc>>)| AgentView {
            name: agent.name,
            description: agent.description,
            capabilities: agent.capabilities,
            input_schema: agent.input_schema,
            online: told.then_some(last_seen_at.is_some()),
            last_seen_at,
        };
        Self { items: agents.into_iter().zip(seen).map(view).collect() }
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
