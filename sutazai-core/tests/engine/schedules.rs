//! Schedules over the memory stores: which times fire, and how often.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    Caller, MissedRuns, NewSchedule, OverlapPolicy, PageLimit, PageRequest, Schedule, Task, TaskQuery,
    UserChange, UserId, UserRole,
};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::memory::{MemoryIdentityStore, MemoryScheduleStore, MemoryTaskStore};
use sutazai_core::ports::{Clock, IdentityStore, ScheduleStore};
use sutazai_core::schedules::Schedules;
use sutazai_core::testing::identity_store;
use tokio_util::sync::CancellationToken;

use super::stage::{ME, Stage, settle};

/// Schedules over an engine, fired by any number of processes.
struct Timetable {
    stage: Stage,
    store: Arc<MemoryScheduleStore>,
    schedules: Schedules,
    users: Option<Arc<dyn IdentityStore>>,
    stop: CancellationToken,
}

fn of_schedules(
    builder: EngineBuilder,
    store: Arc<MemoryScheduleStore>,
    users: Option<Arc<dyn IdentityStore>>,
) -> EngineBuilder {
    let builder = builder.schedule_store(store);
    users.into_iter().fold(builder, EngineBuilder::identity_store)
}

impl Timetable {
    fn new() -> Self {
        Self::with(None)
    }

    /// Creates schedules with an identity store.
    fn of_users(users: Arc<dyn IdentityStore>) -> Self {
        Self::with(Some(users))
    }

    fn with(users: Option<Arc<dyn IdentityStore>>) -> Self {
        let (tasks, store) = (Arc::new(MemoryTaskStore::new()), Arc::new(MemoryScheduleStore::new()));
        let more = |builder| of_schedules(builder, store.clone(), users.clone());
        let stage = Stage::build(tasks.clone(), tasks, 1, more);
        let schedules = stage.engine.schedules().unwrap();
        Self { stage, store, schedules, users, stop: CancellationToken::new() }
    }

    /// Starts one more process that fires and runs no task.
    fn fire(&self) {
        let builder = Engine::builder()
            .task_store(self.stage.store.clone())
            .clock(self.stage.clock.clone())
            .agent(self.stage.actor.clone())
            .workers(0);
        let engine = of_schedules(builder, self.store.clone(), self.users.clone()).build().unwrap();
        let stop = self.stop.clone();
        tokio::spawn(async move {
            engine.start().await.unwrap();
            stop.cancelled().await;
            engine.shutdown().await.unwrap();
        });
    }

    /// Advances to this time in steps of at most a minute, and lets everything run in between.
    async fn until(&self, time: &str) {
        let until: DateTime<Utc> = time.parse().unwrap();
        while let Ok(left) = (until - self.stage.clock.now()).to_std() {
            if left.is_zero() {
                break;
            }
            self.stage.clock.advance(left.min(Duration::from_secs(60)));
            settle().await;
        }
    }

    /// Advances to this time in one step, so nothing fires in between.
    async fn jump(&self, time: &str) {
        let until: DateTime<Utc> = time.parse().unwrap();
        self.stage.clock.advance((until - self.stage.clock.now()).to_std().unwrap());
        settle().await;
    }

    async fn tasks(&self) -> Vec<Task> {
        let query = TaskQuery { page: PageLimit::MAX.into(), ..TaskQuery::default() };
        let mut tasks = self.stage.engine.tasks(&ME, query).await.unwrap().items;
        tasks.reverse();
        tasks
    }

    /// Returns the times at which tasks were submitted.
    async fn fired(&self) -> Vec<String> {
        let tasks = self.tasks().await;
        tasks.iter().map(|task| task.created_at.format("%m-%d %H:%M").to_string()).collect()
    }
}

fn plan(cron: &str, time_zone: &str, missed_runs: MissedRuns) -> NewSchedule {
    NewSchedule {
        name: "Look".into(),
        agent: "actor".into(),
        payload: json!({ "do": "finish" }),
        priority: 7,
        cron: cron.into(),
        time_zone: time_zone.into(),
        missed_runs,
        // In most of these tests no worker runs the tasks.
        overlap_policy: OverlapPolicy::Allow,
        enabled: true,
    }
}

/// Creates a plan for every minute whose tasks run until they are cancelled.
fn long(overlap_policy: OverlapPolicy) -> NewSchedule {
    NewSchedule {
        payload: json!({ "do": "hang" }),
        overlap_policy,
        ..plan("* * * * *", "UTC", MissedRuns::Once)
    }
}

#[tokio::test]
async fn schedule_fires_once_across_processes() {
    let table = Timetable::new();
    let ada = Caller::User { id: UserId::new(), role: UserRole::User };
    let schedule = table.schedules.create(&ada, plan("*/5 * * * *", "UTC", MissedRuns::Once)).await.unwrap();
    assert_eq!(schedule.next_run_at, Some("2026-01-01T00:05:00Z".parse().unwrap()));
    (0..3).for_each(|_| table.fire());
    table.until("2026-01-01T00:04:00Z").await;
    assert_eq!(table.fired().await, [""; 0]);
    table.until("2026-01-01T00:12:00Z").await;
    assert_eq!(table.fired().await, ["01-01 00:05", "01-01 00:10"]);
    for task in table.tasks().await {
        assert_eq!((task.owner, task.title.as_str(), task.priority), (ada.owner(), "Look", 7));
        assert_eq!(task.payload, json!({ "do": "finish" }));
    }
    let after = table.schedules.get(&ada, schedule.id).await.unwrap();
    let expected = Schedule {
        last_task: Some(table.tasks().await[1].id),
        last_run_at: Some("2026-01-01T00:10:00Z".parse().unwrap()),
        next_run_at: Some("2026-01-01T00:15:00Z".parse().unwrap()),
        ..schedule
    };
    assert_eq!(after, expected);
    table.stop.cancel();
    settle().await;
    table.until("2026-01-01T00:30:00Z").await;
    assert_eq!(table.fired().await.len(), 2, "it was stopped");
}

#[tokio::test]
async fn missed_times_follow_the_policy() {
    for (policy, count) in [(MissedRuns::Skip, 0), (MissedRuns::Once, 1), (MissedRuns::All, 6)] {
        let table = Timetable::new();
        let schedule = table.schedules.create(&ME, plan("0 * * * *", "UTC", policy)).await.unwrap();
        table.jump("2026-01-01T06:30:00Z").await;
        table.fire();
        settle().await;
        assert_eq!(table.tasks().await.len(), count, "{policy}");
        let after = table.schedules.get(&ME, schedule.id).await.unwrap();
        assert_eq!(after.next_run_at, Some("2026-01-01T07:00:00Z".parse().unwrap()), "{policy}");
        let last = (count > 0).then(|| "2026-01-01T06:00:00Z".parse().unwrap());
        assert_eq!(after.last_run_at, last, "{policy}");
        table.until("2026-01-01T07:01:00Z").await;
        assert_eq!(table.tasks().await.len(), count + 1, "{policy}");
    }
}

#[tokio::test]
async fn clock_change_neither_skips_nor_repeats_a_time() {
    let table = Timetable::new();
    table.jump("2026-03-28T12:00:00Z").await;
    table.schedules.create(&ME, plan("30 2 * * *", "Europe/Berlin", MissedRuns::Once)).await.unwrap();
    table.fire();
    table.until("2026-03-30T12:00:00Z").await;
    assert_eq!(table.fired().await, ["03-29 01:00", "03-30 00:30"]);
    table.jump("2026-10-24T12:00:00Z").await;
    table.until("2026-10-26T12:00:00Z").await;
    // The one after the jump is for all missed times.
    assert_eq!(table.fired().await[3..], ["10-25 00:30", "10-26 01:30"]);
}

#[tokio::test]
async fn unrecorded_firing_is_not_repeated() {
    let table = Timetable::new();
    let schedule = table.schedules.create(&ME, plan("0 * * * *", "UTC", MissedRuns::All)).await.unwrap();
    table.fire();
    table.until("2026-01-01T01:01:00Z").await;
    // As if the process had died after submitting the task and before recording it.
    let fired = table.store.get(schedule.id).await.unwrap().unwrap();
    assert_eq!(fired.next_run_at, Some("2026-01-01T02:00:00Z".parse().unwrap()));
    assert!(table.store.advance(&fired, &schedule).await.unwrap());
    table.until("2026-01-01T02:01:00Z").await;
    assert_eq!(table.fired().await, ["01-01 01:00", "01-01 02:00"]);
}

#[tokio::test]
async fn schedule_can_be_changed_disabled_and_deleted() {
    let table = Timetable::new();
    table.fire();
    let schedule = table.schedules.create(&ME, plan("0 * * * *", "UTC", MissedRuns::Once)).await.unwrap();
    let replace = async |plan| table.schedules.replace(&ME, schedule.id, plan).await.unwrap();
    let changed = replace(plan("30 * * * *", "UTC", MissedRuns::Once)).await;
    assert_eq!(changed.next_run_at, Some("2026-01-01T00:30:00Z".parse().unwrap()));
    let off = replace(NewSchedule { enabled: false, ..changed.plan.clone() }).await;
    assert_eq!(off.next_run_at, None);
    table.until("2026-01-01T02:10:00Z").await;
    assert_eq!(table.fired().await, [""; 0]);
    replace(changed.plan).await;
    table.until("2026-01-01T02:31:00Z").await;
    assert_eq!(table.fired().await, ["01-01 02:30"]);
    table.schedules.delete(&ME, schedule.id).await.unwrap();
    table.until("2026-01-01T04:00:00Z").await;
    assert_eq!(table.fired().await.len(), 1);
    assert_eq!(table.tasks().await.len(), 1, "its tasks stay");
}

#[tokio::test]
async fn invalid_plan_is_refused_and_foreign_schedule_is_not_found() {
    let table = Timetable::new();
    let [ada, eve] = [(); 2].map(|()| Caller::User { id: UserId::new(), role: UserRole::User });
    let good = plan("0 * * * *", "UTC", MissedRuns::Once);
    for (bad, field) in [
        (NewSchedule { name: String::new(), ..good.clone() }, "name"),
        (NewSchedule { name: "x".repeat(201), ..good.clone() }, "name"),
        (NewSchedule { agent: "nobody".into(), ..good.clone() }, "agent"),
        (NewSchedule { payload: json!({ "do": 1 }), ..good.clone() }, "payload.do"),
        (NewSchedule { priority: 10, ..good.clone() }, "priority"),
        (NewSchedule { cron: "every day".into(), ..good.clone() }, "cron"),
        (NewSchedule { time_zone: "Berlin".into(), ..good.clone() }, "time_zone"),
    ] {
        let e = table.schedules.create(&ada, bad).await.unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some(field)), "{e}");
    }
    let own = table.schedules.create(&ada, good.clone()).await.unwrap();
    for owner in [None, ada.owner()] {
        let list = async |caller| table.schedules.list(caller, owner, PageRequest::default()).await.unwrap();
        assert_eq!(list(&ada).await.items, std::slice::from_ref(&own));
        assert_eq!(list(&eve).await.items, []);
    }
    let foreign = [
        table.schedules.get(&eve, own.id).await.map(|_| ()),
        table.schedules.replace(&eve, own.id, good).await.map(|_| ()),
        table.schedules.delete(&eve, own.id).await,
    ];
    assert!(foreign.iter().all(|answer| answer.as_ref().unwrap_err().kind() == ErrorKind::NotFound));
}

#[tokio::test]
async fn schedule_of_an_unknown_agent_does_not_delay_others() {
    let table = Timetable::new();
    let schedule = table.schedules.create(&ME, plan("* * * * *", "UTC", MissedRuns::Once)).await.unwrap();
    let mut gone = Schedule { id: Default::default(), ..schedule.clone() };
    gone.plan.agent = "gone".into();
    gone.next_run_at = Some("2026-01-01T00:00:30Z".parse().unwrap());
    let mut strange = Schedule { id: Default::default(), ..gone.clone() };
    strange.plan.time_zone = "Atlantis".into();
    table.store.create(&gone).await.unwrap();
    table.store.create(&strange).await.unwrap();
    table.fire();
    table.until("2026-01-01T00:02:10Z").await;
    assert_eq!(table.fired().await, ["01-01 00:01", "01-01 00:02"]);
    assert_eq!(table.store.get(strange.id).await.unwrap().unwrap().next_run_at, None);
}

#[tokio::test]
async fn user_has_at_most_a_hundred_schedules() {
    let table = Timetable::new();
    let [ada, eve] = [(); 2].map(|()| Caller::User { id: UserId::new(), role: UserRole::User });
    let mut made = Vec::new();
    for _ in 0..100 {
        made.push(table.schedules.create(&ada, plan("* * * * *", "UTC", MissedRuns::Once)).await.unwrap());
    }
    let more =
        async |caller| table.schedules.create(caller, plan("* * * * *", "UTC", MissedRuns::Once)).await;
    assert_eq!(more(&ada).await.unwrap_err().kind(), ErrorKind::Conflict);
    more(&eve).await.unwrap();
    for _ in 0..101 {
        more(&ME).await.unwrap();
    }
    table.schedules.delete(&ada, made[50].id).await.unwrap();
    more(&ada).await.unwrap();
}

#[tokio::test]
async fn schedules_of_a_disabled_user_do_not_fire() {
    let identity = Arc::new(MemoryIdentityStore::new());
    let table = Timetable::of_users(identity.clone());
    let ada = identity_store::user_named("ada");
    identity.create_user(&ada).await.unwrap();
    let caller = Caller::User { id: ada.id, role: UserRole::User };
    // Unknown to the identity store, like the users of an embedder.
    let foreign = Caller::User { id: UserId::new(), role: UserRole::User };
    table.schedules.create(&caller, plan("0 * * * *", "UTC", MissedRuns::All)).await.unwrap();
    table.schedules.create(&foreign, plan("30 4 * * *", "UTC", MissedRuns::Once)).await.unwrap();
    table.fire();
    table.until("2026-01-01T01:01:00Z").await;
    let disabled = async |disabled| {
        identity.change_user(ada.id, &UserChange::Disabled(disabled), table.stage.clock.now()).await.unwrap();
    };
    disabled(true).await;
    table.until("2026-01-01T05:01:00Z").await;
    assert_eq!(table.fired().await, ["01-01 01:00", "01-01 04:30"]);
    disabled(false).await;
    table.until("2026-01-01T06:01:00Z").await;
    assert_eq!(
        table.fired().await,
        ["01-01 01:00", "01-01 04:30", "01-01 06:00"],
        "and nothing for what it missed"
    );
}

#[tokio::test]
async fn time_is_skipped_while_the_last_task_runs() {
    let table = Timetable::new();
    let schedule = table.schedules.create(&ME, long(OverlapPolicy::Skip)).await.unwrap();
    (0..2).for_each(|_| table.fire());
    table.until("2026-01-01T00:04:30Z").await;
    assert_eq!(table.fired().await, ["01-01 00:01"]);
    let now = table.schedules.get(&ME, schedule.id).await.unwrap();
    assert_eq!(now.last_run_at, Some("2026-01-01T00:01:00Z".parse().unwrap()));
    assert_eq!(now.next_run_at, Some("2026-01-01T00:05:00Z".parse().unwrap()));
    table.stage.engine.start().await.unwrap();
    settle().await;
    table.stage.engine.cancel(&ME, table.tasks().await[0].id).await.unwrap();
    settle().await;
    table.until("2026-01-01T00:05:30Z").await;
    assert_eq!(table.fired().await, ["01-01 00:01", "01-01 00:05"]);
    // A deleted task does not run any more either.
    let second = table.tasks().await[1].id;
    table.stage.engine.cancel(&ME, second).await.unwrap();
    settle().await;
    table.stage.engine.delete(&ME, second).await.unwrap();
    table.until("2026-01-01T00:06:30Z").await;
    assert_eq!(table.fired().await, ["01-01 00:01", "01-01 00:06"]);
}

#[tokio::test]
async fn queued_times_run_one_after_the_other() {
    let table = Timetable::new();
    let schedule = table.schedules.create(&ME, long(OverlapPolicy::Queue)).await.unwrap();
    table.stage.engine.start().await.unwrap();
    (0..3).for_each(|_| table.fire());
    table.until("2026-01-01T00:03:30Z").await;
    assert_eq!(table.fired().await, ["01-01 00:01"]);
    let at = |minute: u32| Some(format!("schedule {} 2026-01-01T00:{minute:02}:00Z", schedule.id));
    for started in 1..=3 {
        let tasks = table.tasks().await;
        assert_eq!(tasks.len(), started);
        assert_eq!(tasks[started - 1].idempotency_key, at(started as u32), "in the order of the times");
        let queued = table.schedules.get(&ME, schedule.id).await.unwrap().queued;
        assert_eq!(queued.len(), 3 - started);
        table.stage.engine.cancel(&ME, tasks[started - 1].id).await.unwrap();
        for _ in 0..3 {
            settle().await;
            table.stage.clock.advance(Duration::from_secs(1));
        }
        settle().await;
    }
    assert_eq!(table.tasks().await.len(), 3, "nothing waits any more");
    table.until("2026-01-01T00:05:30Z").await;
    assert_eq!(table.tasks().await.len(), 4);
    // A new plan drops the queued times.
    let queued = table.schedules.get(&ME, schedule.id).await.unwrap().queued;
    assert_eq!(queued, ["2026-01-01T00:05:00Z".parse::<DateTime<Utc>>().unwrap()]);
    table.schedules.replace(&ME, schedule.id, NewSchedule { enabled: false, ..schedule.plan }).await.unwrap();
    table.stage.engine.cancel(&ME, table.tasks().await[3].id).await.unwrap();
    table.until("2026-01-01T00:08:30Z").await;
    assert_eq!(table.tasks().await.len(), 4);
}

#[tokio::test]
async fn overlapping_times_run_at_once() {
    let table = Timetable::new();
    table.schedules.create(&ME, long(OverlapPolicy::Allow)).await.unwrap();
    table.fire();
    table.until("2026-01-01T00:03:30Z").await;
    assert_eq!(table.fired().await, ["01-01 00:01", "01-01 00:02", "01-01 00:03"]);
}

#[tokio::test]
async fn missed_times_do_not_overlap_and_at_most_a_hundred_are_queued() {
    let table = Timetable::new();
    let all = NewSchedule { missed_runs: MissedRuns::All, ..long(OverlapPolicy::Skip) };
    let schedule = table.schedules.create(&ME, all).await.unwrap();
    table.jump("2026-01-01T03:30:30Z").await;
    table.fire();
    settle().await;
    let queued = async || table.schedules.get(&ME, schedule.id).await.unwrap().queued;
    assert_eq!((table.tasks().await.len(), queued().await.len()), (1, 99));
    table.until("2026-01-01T03:31:30Z").await;
    assert_eq!((table.tasks().await.len(), queued().await.len()), (1, 99), "the time of 03:31 was skipped");
    let queue = NewSchedule { missed_runs: MissedRuns::All, ..long(OverlapPolicy::Queue) };
    table.schedules.replace(&ME, schedule.id, queue).await.unwrap();
    table.until("2026-01-01T05:30:30Z").await;
    let waiting = queued().await;
    assert_eq!((table.tasks().await.len(), waiting.len()), (1, 100));
    assert_eq!(waiting.last(), Some(&"2026-01-01T05:30:00Z".parse().unwrap()), "the latest");
}
