//! Agents, and the hardware analysis as one call.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sutazai_core::domain::{AgentDescriptor, AgentStatus, Task, TaskDefaults};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::dto::task::TaskView;

/// Settings of an agent's tasks whose requests leave them out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskDefaults)]
struct TaskDefaultsView {
    /// Priority from 0 (lowest) to 9 (highest).
    priority: u8,
    /// Maximum duration of one attempt in seconds.
    timeout_seconds: u32,
    /// Number of failed attempts after which a task fails.
    max_attempts: u32,
}

impl From<TaskDefaults> for TaskDefaultsView {
    fn from(defaults: TaskDefaults) -> Self {
        let TaskDefaults { priority, timeout_seconds, max_attempts, .. } = defaults;
        Self { priority, timeout_seconds, max_attempts }
    }
}

/// Agent as it describes itself, with its liveness.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Agent)]
struct AgentView {
    /// Name of the agent, used in tasks.
    #[schema(example = "hardware-optimizer")]
    name: String,
    description: String,
    capabilities: Vec<String>,
    /// JSON Schema (2020-12) of the `payload` of its tasks.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// JSON Schema (2020-12) that the `result` of its tasks fits; null if the agent promises no form.
    #[schema(value_type = Option<Object>)]
    output_schema: Option<Value>,
    defaults: TaskDefaultsView,
    /// True if this process or another has worked for the agent within the last 60 seconds; null when
    /// unknown.
    online: Option<bool>,
    /// Time of the last known heartbeat of a process that works for the agent.
    #[schema(nullable)]
    last_seen_at: Option<DateTime<Utc>>,
}

/// All agents of this server, sorted by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentList {
    items: Vec<AgentView>,
}

impl AgentList {
    /// Joins the agents with their liveness, which `statuses` lists in the same order; `None` when it is unknown.
    pub(crate) fn new(agents: Vec<AgentDescriptor>, statuses: Option<Vec<AgentStatus>>) -> Self {
        let statuses = statuses.unwrap_or_default().into_iter().map(Some).chain(std::iter::repeat(None));
        let view = |(agent, status): (AgentDescriptor, Option<AgentStatus>)| AgentView {
            name: agent.name,
            description: agent.description,
            capabilities: agent.capabilities,
            input_schema: agent.input_schema,
            output_schema: agent.output_schema,
            defaults: agent.defaults.into(),
            online: status.map(|status| status.online),
            last_seen_at: status.and_then(|status| status.last_seen_at),
        };
        Self { items: agents.into_iter().zip(statuses).map(view).collect() }
    }
}

/// Options of a hardware analysis.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Analyze {
    /// True if a model words the recommendations; false if the rules do.
    pub(crate) use_model: bool,
}

impl Default for Analyze {
    fn default() -> Self {
        Self { use_model: true }
    }
}

/// Accepted task of a hardware analysis.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AnalysisTask {
    /// Id of the task; same as `task.id`.
    task_id: Uuid,
    task: TaskView,
}

impl From<Task> for AnalysisTask {
    fn from(task: Task) -> Self {
        Self { task_id: task.id.0, task: task.into() }
    }
}
