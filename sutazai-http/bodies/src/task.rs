//! Requests that submit tasks.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sutazai_core::domain::NewTask;
use utoipa::ToSchema;

use crate::payload::Payload;
use crate::time::time;

/// Request to submit a task. Fields that are null or left out get their default.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateTask {
    /// Name of the agent that runs the task.
    #[schema(min_length = 1, max_length = 100, example = "hardware-optimizer")]
    agent: String,
    /// Input of the agent; must conform to its `input_schema`. Default `{}`.
    #[schema(value_type = Option<Object>, example = json!({ "use_model": false }))]
    payload: Option<Payload>,
    /// Title of the task, for people.
    #[schema(max_length = 200, example = "Morning look")]
    title: Option<String>,
    /// Description of the task, for people.
    #[schema(max_length = 4000)]
    description: Option<String>,
    /// Priority among the tasks of this user, from 0 (lowest) to 9 (highest); default: that of the agent.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Maximum duration of one attempt in seconds; default: that of the agent.
    #[schema(minimum = 1, maximum = 86400)]
    timeout_seconds: Option<u32>,
    /// Number of failed attempts after which the task fails; default: that of the agent.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
    /// Earliest start, with microsecond precision; default: at once.
    #[serde(default, deserialize_with = "time")]
    run_at: Option<DateTime<Utc>>,
    /// Idempotency key: a repeated request of the same user with the same key returns the same task. The header
    /// `Idempotency-Key` is equivalent.
    #[schema(min_length = 1, max_length = 200)]
    idempotency_key: Option<String>,
    /// Deduplication key: while a task of the same user and agent with this key is pending or processing, that task
    /// is returned instead of a new one. Cannot be combined with an idempotency key.
    #[schema(min_length = 1, max_length = 200)]
    unique_key: Option<String>,
}

impl From<CreateTask> for NewTask {
    fn from(body: CreateTask) -> Self {
        Self {
            title: body.title.unwrap_or_default(),
            description: body.description.unwrap_or_default(),
            priority: body.priority,
            timeout_seconds: body.timeout_seconds,
            max_attempts: body.max_attempts,
            run_at: body.run_at,
            idempotency_key: body.idempotency_key,
            unique_key: body.unique_key,
            ..Self::new(
                body.agent,
                body.payload.map_or_else(|| Value::Object(Map::new()), |payload| payload.0),
            )
        }
    }
}
