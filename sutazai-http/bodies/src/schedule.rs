//! Requests that write schedules.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sutazai_core::domain::{MissedRuns, NewSchedule, OverlapPolicy, TaskDefaults};
use utoipa::ToSchema;

use crate::payload::Payload;
use crate::vocabulary::{MissedRunsWord, OverlapPolicyWord};

/// Plan of a schedule. Fields that are null or left out get their default.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WriteSchedule {
    /// Name of the schedule, and title of its tasks.
    #[schema(min_length = 1, max_length = 200, example = "Morning look")]
    name: String,
    /// Name of the agent that runs its tasks.
    #[schema(min_length = 1, max_length = 100, example = "hardware-optimizer")]
    agent: String,
    /// Payload of its tasks; must conform to the `input_schema` of the agent. Default `{}`.
    #[schema(value_type = Option<Object>, example = json!({ "use_model": false }))]
    payload: Option<Payload>,
    /// Priority of its tasks; default: that of the agent.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Cron expression: minute, hour, day of month, month, day of week.
    #[schema(max_length = 100, example = "30 7 * * MON-FRI")]
    cron: String,
    /// IANA time zone in which the expression is evaluated; default `UTC`.
    #[schema(max_length = 100, example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// Handling of due times that passed while no server ran; default `once`.
    #[schema(value_type = Option<MissedRunsWord>)]
    missed_runs: Option<MissedRuns>,
    /// Handling of a due time while the task of an earlier one has not ended; default `skip`.
    #[schema(value_type = Option<OverlapPolicyWord>)]
    overlap_policy: Option<OverlapPolicy>,
    /// True if the schedule submits tasks; default true.
    enabled: Option<bool>,
}

impl WriteSchedule {
    /// Returns the plan; `defaults` returns the settings that the named agent gives its tasks.
    pub fn plan(self, defaults: impl FnOnce(&str) -> TaskDefaults) -> NewSchedule {
        let priority = self.priority.unwrap_or_else(|| defaults(&self.agent).priority);
        NewSchedule {
            name: self.name,
            agent: self.agent,
            payload: self.payload.map_or_else(|| Value::Object(Map::new()), |payload| payload.0),
            priority,
            cron: self.cron,
            time_zone: self.time_zone.unwrap_or_else(|| "UTC".into()),
            missed_runs: self.missed_runs.unwrap_or_default(),
            overlap_policy: self.overlap_policy.unwrap_or_default(),
            enabled: self.enabled.unwrap_or(true),
        }
    }
}
