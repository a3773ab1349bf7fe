//! Requests about schedules of the engine.

use serde::Deserialize;
use serde_json::{Value, json};
use sutazai::domain::{MissedRuns, NewSchedule, OverlapPolicy, Schedule, ScheduleId};
use sutazai::schedules::Schedules;
use sutazai::{Error, Result};

use super::{Answer, Id, PageBody, answer, id, nothing, page};
use crate::local::Local;

#[derive(Debug, Deserialize)]
pub(super) struct Plan {
    name: String,
    agent: String,
    payload: Value,
    /// Priority of the tasks; `None` for that of the agent.
    priority: Option<u8>,
    cron: String,
    time_zone: String,
    missed: MissedRuns,
    overlap: OverlapPolicy,
    enabled: bool,
}

impl Plan {
    fn complete(self, local: &Local) -> NewSchedule {
        NewSchedule {
            priority: self.priority.unwrap_or_else(|| local.engine().task_defaults(&self.agent).priority),
            name: self.name,
            agent: self.agent,
            payload: self.payload,
            cron: self.cron,
            time_zone: self.time_zone,
            missed_runs: self.missed,
            overlap_policy: self.overlap,
            enabled: self.enabled,
        }
    }
}

fn schedules(local: &Local) -> Result<Schedules> {
    local.engine().schedules().ok_or_else(|| Error::unsupported("this engine has no store of schedules"))
}

fn view(schedule: Schedule) -> Value {
    let plan = schedule.plan;
    json!({
        "id": schedule.id,
        "name": plan.name,
        "agent": plan.agent,
        "payload": plan.payload,
        "priority": plan.priority,
        "cron": plan.cron,
        "time_zone": plan.time_zone,
        "missed": plan.missed_runs,
        "overlap": plan.overlap_policy,
        "enabled": plan.enabled,
        "next_run_at": schedule.next_run_at,
        "last_run_at": schedule.last_run_at,
        "created_at": schedule.created_at,
        "updated_at": schedule.updated_at,
    })
}

fn schedule_id(body: &Id) -> Result<ScheduleId> {
    id("schedule", &body.id)
}

pub(super) async fn create(local: &Local, plan: Plan) -> Answer {
    answer(&view(schedules(local)?.create(&local.caller, plan.complete(local)).await?))
}

pub(super) async fn list(local: &Local, body: PageBody) -> Answer {
    let found = schedules(local)?.list(&local.caller, None, body.request()?).await?;
    page(found.map(view))
}

pub(super) async fn get(local: &Local, body: Id) -> Answer {
    answer(&view(schedules(local)?.get(&local.caller, schedule_id(&body)?).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Replace {
    id: String,
    plan: Plan,
}

pub(super) async fn replace(local: &Local, body: Replace) -> Answer {
    let id = schedule_id(&Id { id: body.id })?;
    answer(&view(schedules(local)?.replace(&local.caller, id, body.plan.complete(local)).await?))
}

pub(super) async fn delete(local: &Local, body: Id) -> Answer {
    schedules(local)?.delete(&local.caller, schedule_id(&body)?).await?;
    nothing()
}
