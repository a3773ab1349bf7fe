//! Schedules.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sutazai_core::Result;
use sutazai_core::domain::{
    MissedRuns, NewSchedule, OverlapPolicy, Schedule, ScheduleId, SchedulePage, ScheduleQuery, UserId,
};
use utoipa::{IntoParams, ToSchema};

use crate::document::words::{MissedRunsWord, OverlapPolicyWord};
use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};
use crate::dto::payload::Payload;

/// What a schedule asks for, and when. What is null or left out has its default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteSchedule {
    /// What it is called; the title of its tasks.
    #[schema(min_length = 1, max_length = 200, example = "Morning look")]
    name: String,
    /// Who does its tasks, by name.
    #[schema(min_length = 1, max_length = 100, example = "hardware-optimizer")]
    agent: String,
    /// What the agent gets; fits its `input_schema`. Default `{}`.
    #[schema(value_type = Option<Object>, example = json!({ "use_model": false }))]
    payload: Option<Payload>,
    /// The priority of its tasks; default 5.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// When: minute, hour, day of month, month, day of week.
    #[schema(max_length = 100, example = "30 7 * * MON-FRI")]
    cron: String,
    /// Where these are the time, by its name in the IANA database; default `UTC`.
    #[schema(max_length = 100, example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// What becomes of the times that passed while no server ran; default `once`.
    #[schema(value_type = Option<MissedRunsWord>)]
    missed_runs: Option<MissedRuns>,
    /// What happens at a time while the task of an earlier time has not ended; default `skip`.
    #[schema(value_type = Option<OverlapPolicyWord>)]
    overlap_policy: Option<OverlapPolicy>,
    /// Whether it fires; default true.
    enabled: Option<bool>,
}

impl From<WriteSchedule> for NewSchedule {
    fn from(body: WriteSchedule) -> Self {
        Self {
            name: body.name,
            agent: body.agent,
            payload: body.payload.map_or_else(|| Value::Object(Map::new()), |payload| payload.0),
            priority: body.priority.unwrap_or(5),
            cron: body.cron,
            time_zone: body.time_zone.unwrap_or_else(|| "UTC".into()),
            missed_runs: body.missed_runs.unwrap_or_default(),
            overlap_policy: body.overlap_policy.unwrap_or_default(),
            enabled: body.enabled.unwrap_or(true),
        }
    }
}

/// A schedule as its owner sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleView {
    #[schema(value_type = Uuid)]
    id: ScheduleId,
    /// Whose it is; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    name: String,
    agent: String,
    /// What the agent gets.
    payload: Value,
    priority: u8,
    cron: String,
    time_zone: String,
    #[schema(value_type = MissedRunsWord)]
    missed_runs: MissedRuns,
    #[schema(value_type = OverlapPolicyWord)]
    overlap_policy: OverlapPolicy,
    enabled: bool,
    /// When it fires next; null when it is not enabled.
    next_run_at: Option<DateTime<Utc>>,
    /// The latest time that it fired for.
    last_run_at: Option<DateTime<Utc>>,
    /// How many times wait for earlier tasks to end.
    queued_runs: usize,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        let plan = schedule.plan;
        Self {
            id: schedule.id,
            owner: schedule.owner,
            name: plan.name,
            agent: plan.agent,
            payload: plan.payload,
            priority: plan.priority,
            cron: plan.cron,
            time_zone: plan.time_zone,
            missed_runs: plan.missed_runs,
            overlap_policy: plan.overlap_policy,
            enabled: plan.enabled,
            next_run_at: schedule.next_run_at,
            last_run_at: schedule.last_run_at,
            queued_runs: schedule.queued.len(),
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

/// The parameters of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListSchedules {
    /// Schedules on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// The `next_cursor` of the page before.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListSchedules {
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn query(&self) -> Result<ScheduleQuery> {
        let before = self.cursor.as_deref().map(read_cursor).transpose()?.map(ScheduleId);
        Ok(ScheduleQuery { owner: None, before, limit: self.limit })
    }
}

/// One page of schedules, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleList {
    items: Vec<ScheduleView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<SchedulePage> for ScheduleList {
    fn from(page: SchedulePage) -> Self {
        Self {
            items: page.items.into_iter().map(ScheduleView::from).collect(),
            next_cursor: page.next.map(|id| write_cursor(id.0)),
        }
    }
}
