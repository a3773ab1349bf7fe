//! Operations of callers on their schedules.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::{
    Caller, CronTimes, NewSchedule, NewTask, OverlapPolicy, Page, PageLimit, PageRequest, Schedule,
    ScheduleId, Task, TaskId, TaskQuery, TaskSummary, UserId,
};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::ports::ScheduleStore;

/// Schedules for tasks of an engine, which fires them. [`Engine::schedules`] returns them. Cheap to clone; all clones share
/// their state.
///
/// If the engine has an identity store, a schedule submits nothing while its owner is disabled or lacks a permission that
/// the agent needs.
///
/// # Cancel safety
/// A method that only reads can be dropped at any time; one that changes a schedule has its whole effect or none,
/// possibly after the future is dropped.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::Arc;
/// use serde_json::json;
/// use sutazai_core::domain::{Caller, MissedRuns, NewSchedule, OverlapPolicy};
/// use sutazai_core::engine::Engine;
/// use sutazai_core::memory::MemoryScheduleStore;
/// use sutazai_core::typed_agent::agent;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let store = Arc::new(MemoryScheduleStore::new());
/// let analyst = agent("analyst", async |_: BTreeMap<String, String>, _| Ok("done"));
/// let engine = Engine::builder().agent(analyst).schedule_store(store).start().await?;
/// let schedules = engine.schedules().expect("the engine has a store of schedules");
/// let plan = NewSchedule {
///     name: "every night".into(),
///     agent: "analyst".into(),
///     payload: json!({}),
///     priority: 5,
///     cron: "30 2 * * *".into(),
///     time_zone: "Europe/Berlin".into(),
///     missed_runs: MissedRuns::Once,
///     overlap_policy: OverlapPolicy::Skip,
///     enabled: true,
/// };
/// let schedule = schedules.create(&Caller::System, plan).await?;
/// assert!(schedule.next_run_at.is_some());
/// engine.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Schedules {
    pub(super) store: Arc<dyn ScheduleStore>,
    pub(super) engine: Engine,
}

impl Schedules {
    pub(crate) fn new(store: Arc<dyn ScheduleStore>, engine: Engine) -> Self {
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

    /// Returns one page of the schedules of `owner`, or of all, newest first; users see only their own.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(
        &self,
        caller: &Caller,
        owner: Option<UserId>,
        page: PageRequest<ScheduleId>,
    ) -> Result<Page<Schedule, ScheduleId>> {
        let owner = if caller.may_touch(owner) { owner } else { caller.owner() };
        self.store.list(owner, page).await
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

    /// Submits the task of a schedule now, for the owner of the schedule; its due times do not change. The task counts as
    /// the last one of the schedule.
    ///
    /// # Errors
    /// `NotFound`, also for one that the caller may not see; `Conflict` if the last task has not ended and the overlap
    /// policy is not `allow`; those of [`create`](Self::create) about the agent and its payload, which may have changed
    /// since; `RateLimited` if too many tasks of the owner are pending.
    ///
    /// # Cancel safety
    /// A dropped future may have submitted the task without recording it as the last one.
    pub async fn run_now(&self, caller: &Caller, id: ScheduleId) -> Result<Task> {
        let schedule = self.get(caller, id).await?;
        self.engine.check(caller, &task(&schedule.plan))?;
        if schedule.plan.overlap_policy != OverlapPolicy::Allow && self.is_running(&schedule).await? {
            return Err(Error::conflict("the last task of the schedule has not ended"));
        }
        let mut submitted = self.engine.submit_for(schedule.owner, vec![task(&schedule.plan)]).await?;
        let task = submitted.pop().ok_or_else(|| Error::internal("the store returned no task"))?;
        // If the schedule fires at this moment, the task that it submits itself is the last one.
        self.store.advance(&schedule, &Schedule { last_task: Some(task.id), ..schedule.clone() }).await?;
        Ok(task)
    }

    /// Returns the tasks that these schedules submitted last, by their ids; deleted ones are left out.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn last_tasks(&self, schedules: &[Schedule]) -> Result<HashMap<TaskId, TaskSummary>> {
        let ids: Vec<TaskId> = schedules.iter().filter_map(|schedule| schedule.last_task).collect();
        let mut found = HashMap::new();
        for ids in ids.chunks(PageLimit::MAX.get() as usize) {
            let query = TaskQuery { ids: ids.to_vec(), page: PageLimit::MAX.into(), ..TaskQuery::default() };
            let page = self.engine.task_summaries(&Caller::System, query).await?;
            found.extend(page.items.into_iter().map(|summary| (summary.task.id, summary)));
        }
        Ok(found)
    }

    /// Returns the next `count` due times of a cron pattern in this time zone.
    ///
    /// # Errors
    /// `InvalidInput` naming `cron` or `time_zone`.
    pub fn next_times(&self, cron: &str, time_zone: &str, count: usize) -> Result<Vec<DateTime<Utc>>> {
        Ok(CronTimes::parse(cron, time_zone)?.next(self.engine.clock().now(), count))
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
        priority: Some(plan.priority),
        ..NewTask::new(plan.agent.clone(), plan.payload.clone())
    }
}
