//! Operations of callers on their schedules.

use std::sync::Arc;

use crate::domain::{
    Caller, CronTimes, NewSchedule, NewTask, Schedule, ScheduleId, SchedulePage, ScheduleQuery,
};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ports::ScheduleStore;
use crate::validation::page;

/// Schedules for tasks of an engine. Cheap to clone; all clones share their state.
#[derive(Debug, Clone)]
pub struct Schedules {
    pub(super) store: Arc<dyn ScheduleStore>,
    pub(super) engine: Engine,
}

impl Schedules {
    /// Creates schedules over this store, for tasks of this engine. Nothing fires before [`run`](Self::run). If the
    /// engine has an identity store, a schedule submits nothing while its owner is disabled or lacks a permission that
    /// the agent needs.
    pub fn new(store: Arc<dyn ScheduleStore>, engine: Engine) -> Self {
        Self { store, engine }
    }

    /// Creates a schedule for this caller.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field; `Forbidden` if the caller may not use the agent; `Conflict` if the user
    /// already has 100 schedules.
    pub async fn create(&self, caller: &Caller, plan: NewSchedule) -> Result<Schedule> {
        let times = self.check(caller, &plan)?;
        let now = self.engine.clock().now();
        let schedule = Schedule {
            id: ScheduleId::new(),
            owner: caller.owner(),
            next_run_at: times.after(now).filter(|_| plan.enabled),
            plan,
            last_run_at: None,
            last_task: None,
            queued: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        self.store.create(&schedule).await?;
        Ok(schedule)
    }

    /// Returns one page of schedules, newest first; users see only their own.
    ///
    /// # Errors
    /// `InvalidInput` naming `limit` if it is not 1 to 100.
    pub async fn list(&self, caller: &Caller, mut query: ScheduleQuery) -> Result<SchedulePage> {
        page(query.limit)?;
        if !caller.may_touch(query.owner) {
            query.owner = caller.owner();
        }
        self.store.list(&query).await
    }

    /// Returns the schedule with this id.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn get(&self, caller: &Caller, id: ScheduleId) -> Result<Schedule> {
        let schedule = self.store.get(id).await?.filter(|schedule| caller.may_touch(schedule.owner));
        schedule.ok_or_else(|| Error::not_found(format!("schedule {id}")))
    }

    /// Replaces the plan of a schedule. The next time follows from the new plan; missed and queued times are dropped.
    ///
    /// # Errors
    /// `NotFound`, or those of [`create`](Self::create).
    pub async fn replace(&self, caller: &Caller, id: ScheduleId, plan: NewSchedule) -> Result<Schedule> {
        let known = self.get(caller, id).await?;
        let times = self.check(caller, &plan)?;
        let now = self.engine.clock().now();
        let next_run_at = times.after(now).filter(|_| plan.enabled);
        self.store
            .replace(&Schedule { plan, next_run_at, queued: Vec::new(), updated_at: now, ..known })
            .await?;
        self.get(caller, id).await
    }

    /// Removes a schedule. Its tasks stay.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see.
    pub async fn delete(&self, caller: &Caller, id: ScheduleId) -> Result<()> {
        self.get(caller, id).await?;
        self.store.delete(id).await
    }

    /// Checks that this caller may have such a schedule; returns its times.
    fn check(&self, caller: &Caller, plan: &NewSchedule) -> Result<CronTimes> {
        let length = plan.name.chars().count();
        if !(1..=200).contains(&length) {
            return Err(Error::invalid("name", format!("expected 1 to 200 characters, got {length}")));
        }
        self.engine.check(caller, &task(plan))?;
        CronTimes::parse(&plan.cron, &plan.time_zone)
    }
}

/// Creates the task that a schedule submits each time.
pub(super) fn task(plan: &NewSchedule) -> NewTask {
    NewTask {
        title: plan.name.clone(),
        priority: plan.priority,
        ..NewTask::new(plan.agent.clone(), plan.payload.clone())
    }
}
