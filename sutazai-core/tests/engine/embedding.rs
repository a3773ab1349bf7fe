//! An engine as an embedder builds it: typed agents, handles of tasks, and one handle that owns every loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sutazai_core::domain::{
    AgentDescriptor, Caller, EventKind, LOCAL_HOST, MissedRuns, NewSchedule, NewTask, OverlapPolicy,
    PageLimit, Pressure, PressureMetrics, RetentionPolicy, SnapshotPart, Step, Task, TaskDefaults, TaskId,
    TaskQuery, TaskStatus, UserId, UserRole,
};
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::memory::{MemoryMessageBus, MemoryMetricStore, MemoryScheduleStore, MemoryTaskStore};
use sutazai_core::ports::{Agent, AgentContext, Clock, MetricSource, MetricStore};
use sutazai_core::testing::{ManualClock, MockMetricSource};
use sutazai_core::typed_agent::agent;
use sutazai_core::{Error, ErrorKind, Result};

use super::stage::settle;

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Text {
    text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Count {
    words: usize,
}

async fn count(input: Text, context: AgentContext) -> Result<Count> {
    match input.text.as_str() {
        "" => Err(Error::invalid("text", "expected a word")),
        "for ever" => {
            context.cancellation.cancelled().await;
            Err(Error::cancelled("stopped"))
        }
        text => Ok(Count { words: text.split_whitespace().count() }),
    }
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned() }
}

fn builder() -> EngineBuilder {
    Engine::builder().agent(agent("word-counter", count)).workers(1)
}

#[tokio::test]
async fn output_of_a_task_is_typed_and_its_failure_an_error() {
    let engine = builder().start().await.unwrap();
    let task = engine.submit("word-counter", text("nothing leaves the machine")).await.unwrap();
    assert_eq!(task.output::<Count>().await.unwrap(), Count { words: 4 });
    assert_eq!(task.status().await.unwrap(), TaskStatus::Completed);
    let e = task.output::<Vec<u8>>().await.unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("result")), "{e}");
    let events: Vec<_> = task.events().await.unwrap().map(|event| event.unwrap().kind).collect().await;
    assert!(
        matches!(events.last(), Some(EventKind::Status { status: TaskStatus::Completed, .. })),
        "{events:?}"
    );

    let failed = engine.submit("word-counter", text("")).await.unwrap();
    let e = failed.output::<Count>().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::InvalidInput);
    let expected = format!("task {} failed: text: expected a word", failed.id());
    assert_eq!(e.to_string(), expected);

    let cancelled = engine.submit("word-counter", text("for ever")).await.unwrap();
    cancelled.cancel().await.unwrap();
    assert_eq!(cancelled.output::<Count>().await.unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(cancelled.cancel().await.unwrap_err().kind(), ErrorKind::Conflict);

    let e = engine.submit("word-counter", json!({ "txt": "?" })).await.unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("payload.text")), "{e}");
    let unknown = engine.handle(TaskId::new());
    assert_eq!(unknown.wait().await.unwrap_err().kind(), ErrorKind::NotFound);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn registered_agent_runs_and_takes_the_place_of_its_predecessor() {
    let engine = builder().start().await.unwrap();
    let twice = |input: Text, _: AgentContext| async move { Ok(Count { words: 2 * input.text.len() }) };
    engine.register(agent("letter-counter", twice)).unwrap();
    let added = engine.submit("letter-counter", text("abc")).await.unwrap();
    assert_eq!(added.output::<Count>().await.unwrap(), Count { words: 6 });

    let none = |_: Value, _: AgentContext| async move { Ok(Count { words: 0 }) };
    engine.register(agent("word-counter", none)).unwrap();
    // The schema of the payload is that of the new agent, too.
    let replaced = engine.submit("word-counter", json!({ "txt": "?" })).await.unwrap();
    assert_eq!(replaced.output::<Count>().await.unwrap(), Count { words: 0 });
    let names: Vec<_> = engine.agents().into_iter().map(|agent| agent.name).collect();
    assert_eq!(names, ["letter-counter", "word-counter"]);
    let e = engine.register(agent("Loud", count)).unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("agent.name")), "{e}");
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn tasks_without_a_named_caller_belong_to_the_default_caller() {
    let ada = Caller::User { id: UserId::new(), role: UserRole::User };
    let engine = builder().caller(ada.clone()).build().unwrap();
    let new = NewTask::from_input("word-counter", text("one")).unwrap().priority(9).title("Count");
    let task = engine.submit_task(new).await.unwrap();
    let stored = task.task().await.unwrap();
    assert_eq!((stored.owner, stored.priority, stored.title.as_str()), (ada.owner(), 9, "Count"));
    assert_eq!(engine.handle(task.id()).task().await.unwrap(), stored);
    let eve = Caller::User { id: UserId::new(), role: UserRole::User };
    assert_eq!(engine.handle_as(&eve, task.id()).task().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(engine.handle_as(&Caller::System, task.id()).task().await.unwrap(), stored);
}

/// Promises a number of words, and returns what its payload says.
#[derive(Debug)]
struct Promising;

#[async_trait]
impl Agent for Promising {
    fn descriptor(&self) -> AgentDescriptor {
        let words = json!({ "type": "object", "properties": { "words": { "type": "integer" } }, "required": ["words"] });
        AgentDescriptor::new("promising", "Returns its payload.").output_schema(words)
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        Ok(Step::Done(context.task.payload.clone()))
    }
}

#[tokio::test]
async fn result_that_does_not_fit_the_output_schema_is_a_failure_that_names_the_place() {
    let engine = Engine::builder().agent(Promising).workers(1).start().await.unwrap();
    let good = engine.submit("promising", json!({ "words": 3 })).await.unwrap();
    assert_eq!(good.output::<Value>().await.unwrap(), json!({ "words": 3 }));
    for (result, place) in
        [(json!({ "words": "s3cret" }), "result.words"), (json!({ "n": 1 }), "result.words")]
    {
        let new = NewTask::from_input("promising", result).unwrap().max_attempts(1);
        let task = engine.submit_task(new).await.unwrap().wait().await.unwrap();
        assert_eq!((task.status, &task.result), (TaskStatus::Failed, &None));
        let error = task.error.unwrap();
        assert_eq!(error.kind, ErrorKind::Internal);
        assert!(error.message.starts_with(place), "{}", error.message);
        assert!(!error.message.contains("s3cret"), "{}", error.message);
    }
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn invalid_schemas_are_rejected_when_the_engine_is_built() {
    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Agent for Broken {
        fn descriptor(&self) -> AgentDescriptor {
            AgentDescriptor::new("broken", "Has a broken schema.")
                .output_schema(json!({ "type": "number of words" }))
        }

        async fn run(&self, _: &AgentContext) -> Result<Step> {
            Ok(Step::Done(Value::Null))
        }
    }

    let e = Engine::builder().agent(Broken).build().unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("agent.output_schema")), "{e}");
}

/// Has defaults of its own, and submits a part for itself.
#[derive(Debug)]
struct Patient(TaskDefaults);

#[async_trait]
impl Agent for Patient {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor::new("patient", "Takes its time.").defaults(self.0)
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        if context.task.parent.is_none() && context.children.is_empty() {
            let part = NewTask::new("patient", json!({})).priority(1);
            return Ok(Step::wait_for_all(vec![part], Value::Null));
        }
        Ok(Step::Done(Value::Null))
    }
}

fn settings(task: &Task) -> (u8, u32, u32) {
    (task.priority, task.timeout_seconds, task.max_attempts)
}

#[tokio::test]
async fn settings_that_a_request_leaves_out_are_those_of_the_agent() {
    let clock = Arc::new(ManualClock::new());
    let defaults = TaskDefaults::default().priority(8).timeout_seconds(3_600).max_attempts(7);
    let engine = builder().agent(Patient(defaults)).clock(clock.clone());
    let engine = engine.schedule_store(Arc::new(MemoryScheduleStore::new())).start().await.unwrap();
    assert_eq!(engine.task_defaults("patient"), defaults);
    assert_eq!(engine.task_defaults("nobody"), TaskDefaults::default());

    let task = engine.submit("patient", json!({})).await.unwrap();
    assert_eq!(settings(&task.task().await.unwrap()), (8, 3_600, 7));
    task.wait().await.unwrap();
    let parts = TaskQuery { parent: Some(task.id()), ..TaskQuery::default() };
    let part = engine.tasks(&Caller::System, parts).await.unwrap().items.remove(0);
    assert_eq!(settings(&part), (1, 3_600, 7), "of a child");
    let given = NewTask::new("patient", json!({})).timeout_seconds(5).max_attempts(1);
    let task = engine.submit_task(given).await.unwrap();
    assert_eq!(settings(&task.task().await.unwrap()), (8, 5, 1));

    let plan = NewSchedule { agent: "patient".into(), payload: json!({}), priority: 2, ..hourly() };
    let schedule = engine.schedules().unwrap().create(&Caller::System, plan).await.unwrap();
    let task = engine.schedules().unwrap().run_now(&Caller::System, schedule.id).await.unwrap();
    assert_eq!(settings(&task), (2, 3_600, 7), "of a schedule");
    engine.shutdown_within(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn invalid_defaults_are_rejected_when_the_engine_is_built() {
    for (defaults, field) in [
        (TaskDefaults::default().priority(10), "agent.defaults.priority"),
        (TaskDefaults::default().timeout_seconds(0), "agent.defaults.timeout_seconds"),
        (TaskDefaults::default().max_attempts(101), "agent.defaults.max_attempts"),
    ] {
        let e = Engine::builder().agent(Patient(defaults)).build().unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some(field)), "{e}");
    }
}

fn pressure() -> MockMetricSource {
    let some = Pressure { some_avg10: 0.0, some_avg60: 3.0, full_avg10: None, full_avg60: None };
    let part = PressureMetrics { cpu: Some(some), memory: None, io: None, missing: Vec::new() };
    let mut source = MockMetricSource::new();
    source.expect_name().return_const("pressure".to_owned());
    source.expect_collect().returning(move || Ok(SnapshotPart::Pressure(part.clone())));
    source
}

pub(crate) fn hourly() -> NewSchedule {
    NewSchedule {
        name: "Count hourly".into(),
        agent: "word-counter".into(),
        payload: json!({ "text": "one two" }),
        priority: 5,
        cron: "0 * * * *".into(),
        time_zone: "UTC".into(),
        missed_runs: MissedRuns::Skip,
        overlap_policy: OverlapPolicy::Allow,
        enabled: true,
    }
}

pub(crate) async fn tasks(engine: &Engine) -> Vec<TaskStatus> {
    let query = TaskQuery { page: PageLimit::MAX.into(), ..TaskQuery::default() };
    let page = engine.tasks(&Caller::System, query).await.unwrap();
    page.items.into_iter().map(|task| task.status).collect()
}

/// Advances the clock until the condition holds, at most `steps` times.
async fn until(clock: &ManualClock, step: Duration, steps: u32, holds: impl AsyncFn() -> bool) -> bool {
    for _ in 0..steps {
        if holds().await {
            return true;
        }
        clock.advance(step);
        settle().await;
    }
    holds().await
}

#[tokio::test]
async fn engine_of_the_builder_alone_runs_every_loop() {
    let clock = Arc::new(ManualClock::new());
    // Task ids have the time of the system clock, which retention compares with this one.
    let system = TaskId::new().0.get_timestamp().unwrap().to_unix().0;
    clock.advance(Duration::from_secs(system - clock.now().timestamp().unsigned_abs() + 3_600));
    let (store, metrics) = (Arc::new(MemoryTaskStore::new()), Arc::new(MemoryMetricStore::new()));
    let bus = Arc::new(MemoryMessageBus::new(100));
    let mut published = bus.listen();
    let ended = Arc::new(AtomicBool::new(false));
    let ends = ended.clone();
    let day = Duration::from_secs(86_400);
    let engine = builder()
        .task_store(store.clone())
        .clock(clock.clone())
        .schedule_store(Arc::new(MemoryScheduleStore::new()))
        .retention(RetentionPolicy { ended: Some(day), failed: None })
        .message_bus(bus, store.relays())
        .metric_store(metrics.clone())
        .metric_source(Arc::new(pressure()) as Arc<dyn MetricSource>)
        .background("flag", |_, stop| async move {
            stop.cancelled().await;
            ends.store(true, Ordering::SeqCst);
        })
        .start()
        .await
        .unwrap();
    let schedules = engine.schedules().unwrap();
    let schedule = schedules.create(&Caller::System, hourly()).await.unwrap();
    let minute = Duration::from_secs(60);
    let completed = until(&clock, minute, 70, async || tasks(&engine).await == [TaskStatus::Completed]).await;
    assert!(completed, "the schedule did not fire, or its task did not run");

    let mut topics = Vec::new();
    while let Ok(message) = published.try_recv() {
        topics.push(message.topic);
    }
    assert!(topics.iter().any(|topic| topic == "task.word-counter.completed"), "{topics:?}");
    assert_eq!(metrics.series(LOCAL_HOST, "").await.unwrap(), ["pressure.cpu.some_avg60"]);

    schedules.delete(&Caller::System, schedule.id).await.unwrap();
    let pruned = until(&clock, 10 * minute, 200, async || tasks(&engine).await.is_empty()).await;
    assert!(pruned, "the old task was not removed");

    assert!(!ended.load(Ordering::SeqCst));
    engine.shutdown_within(Duration::ZERO).await.unwrap();
    assert!(ended.load(Ordering::SeqCst), "the background task of the embedder still runs");
}

#[tokio::test]
async fn engine_without_workers_fires_schedules_and_runs_no_task() {
    let clock = Arc::new(ManualClock::new());
    let engine = builder()
        .workers(0)
        .clock(clock.clone())
        .schedule_store(Arc::new(MemoryScheduleStore::new()))
        .start()
        .await
        .unwrap();
    engine.schedules().unwrap().create(&Caller::System, hourly()).await.unwrap();
    let minute = Duration::from_secs(60);
    let fired = until(&clock, minute, 130, async || tasks(&engine).await.len() == 2).await;
    assert!(fired && tasks(&engine).await == [TaskStatus::Pending; 2]);
    engine.shutdown().await.unwrap();
}

#[tokio::test]
async fn panic_of_a_background_loop_ends_only_it_and_is_reported_at_the_shutdown() {
    let engine = builder()
        .background("census", |_, _| async { panic!("expected by this test") })
        .background("flag", |_, stop| async move { stop.cancelled().await })
        .start()
        .await
        .unwrap();
    let task = engine.submit("word-counter", text("one")).await.unwrap();
    assert_eq!(task.output::<Count>().await.unwrap(), Count { words: 1 });
    for _ in 0..2 {
        let e = engine.shutdown().await.unwrap_err();
        assert_eq!((e.kind(), e.message()), (ErrorKind::Internal, "background loops panicked: census"));
    }
}
