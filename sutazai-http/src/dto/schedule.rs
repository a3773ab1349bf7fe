//! Schedules: cron plans that submit tasks.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sutazai_bodies::page::PageView;
use sutazai_bodies::vocabulary::{MissedRunsWord, OverlapPolicyWord, StatusWord};
use sutazai_core::domain::{
    MissedRuns, OverlapPolicy, Schedule, ScheduleId, TaskId, TaskStatus, TaskSummary, UserId,
};
use utoipa::{IntoParams, ToSchema};

use crate::dto::task::TaskErrorView;

/// Schedule as shown to its owner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleView {
    #[schema(value_type = Uuid)]
    id: ScheduleId,
    /// Owner; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    name: String,
    agent: String,
    /// Payload of its tasks.
    payload: Value,
    priority: u8,
    cron: String,
    time_zone: String,
    #[schema(value_type = MissedRunsWord)]
    missed_runs: MissedRuns,
    #[schema(value_type = OverlapPolicyWord)]
    overlap_policy: OverlapPolicy,
    enabled: bool,
    /// Next due time; null when the schedule is disabled.
    next_run_at: Option<DateTime<Utc>>,
    /// Latest due time for which the schedule fired.
    last_run_at: Option<DateTime<Utc>>,
    /// Task that the schedule submitted last; null if there was none, or if it was deleted.
    last_task: Option<LastTask>,
    /// Number of due times that wait for earlier tasks to end.
    queued_runs: usize,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// Task that a schedule submitted last.
#[derive(Debug, Serialize, ToSchema)]
struct LastTask {
    #[schema(value_type = Uuid)]
    id: TaskId,
    #[schema(value_type = StatusWord)]
    status: TaskStatus,
    /// Latest error, also while a retry is pending.
    error: Option<TaskErrorView>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<TaskSummary> for LastTask {
    fn from(TaskSummary { task, .. }: TaskSummary) -> Self {
        Self {
            id: task.id,
            status: task.status,
            error: task.error.map(TaskErrorView::from),
            finished_at: task.finished_at,
        }
    }
}

impl ScheduleView {
    /// Creates the view of a schedule, whose last task is among `tasks`.
    pub(crate) fn new(schedule: Schedule, tasks: &HashMap<TaskId, TaskSummary>) -> Self {
        let plan = schedule.plan;
        Self {
            last_task: schedule.last_task.and_then(|id| tasks.get(&id)).cloned().map(LastTask::from),
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

/// Query parameters of the due times of a cron expression.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimesOf {
    /// Cron expression: minute, hour, day of month, month, day of week.
    #[param(max_length = 100, example = "30 7 * * MON-FRI")]
    pub(crate) cron: String,
    /// IANA time zone in which the expression is evaluated; default `UTC`.
    #[param(nullable = false, max_length = 100, example = "Europe/Berlin")]
    pub(crate) time_zone: Option<String>,
}

/// Next due times of a cron expression.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleTimes {
    /// At most five times, in ascending order.
    #[schema(max_items = 5)]
    pub(crate) items: Vec<DateTime<Utc>>,
}

/// One page of schedules, newest first.
pub(crate) type ScheduleList = PageView<ScheduleView>;
