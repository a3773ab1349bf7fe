//! Requests that the engine accepts or rejects.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{
    Caller, ConcurrencyLimits, InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskCount, TaskError,
    TaskQuery, TaskStatus, TraceContext, UserId, UserRole,
};
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{ClaimRequest, Clock, SilentTracer, TaskQueue};
use sutazai_core::testing::ManualClock;
use sutazai_core::trace;
use tracing::Span;

use super::actor::Actor;
use super::stage::{ME, Stage};

#[tokio::test]
async fn invalid_request_names_the_field_and_stores_nothing() {
    let stage = Stage::new(1);
    for (new, field) in [
        (NewTask::new("nobody", json!({})), "agent"),
        (NewTask::new("actor", json!({ "do": 5 })), "payload.do"),
        (NewTask::new("actor", json!({ "depth": -1 })), "payload.depth"),
        (NewTask::new("actor", json!({ "more": 1 })), "payload.more"),
        (NewTask::new("actor", json!([])), "payload"),
        (NewTask { priority: Some(10), ..NewTask::new("actor", json!({})) }, "priority"),
    ] {
        let error =
            stage.engine.submit_all_as(&ME, vec![NewTask::new("actor", json!({})), new]).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidInput, Some(field)), "{error}");
    }
    let all = stage.engine.tasks(&ME, TaskQuery::default()).await.unwrap();
    assert!(all.items.is_empty());
}

#[tokio::test]
async fn tasks_of_other_users_are_not_found() {
    let stage = Stage::new(1);
    let user = |role| Caller::User { id: UserId::new(), role };
    let (ada, eve, admin) = (user(UserRole::User), user(UserRole::User), user(UserRole::Admin));
    let task = stage.engine.submit_as(&ada, NewTask::new("actor", json!({}))).await.unwrap();
    let id = task.id;
    let engine = &stage.engine;
    for error in [
        engine.task(&eve, id).await.unwrap_err(),
        engine.cancel(&eve, id).await.unwrap_err(),
        engine.retry(&eve, id).await.unwrap_err(),
        engine.delete(&eve, id).await.unwrap_err(),
        engine.wait(&eve, id).await.unwrap_err(),
        engine.events(&eve, id, 0).await.err().unwrap(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    let query = TaskQuery::default();
    let stolen = TaskQuery { owner: ada.owner(), ..query.clone() };
    assert!(engine.tasks(&eve, stolen).await.unwrap().items.is_empty());
    assert_eq!(engine.tasks(&ada, query.clone()).await.unwrap().items.len(), 1);
    assert_eq!(engine.tasks(&admin, query).await.unwrap().items.len(), 1);
    assert_eq!(engine.task(&admin, id).await.unwrap().id, id);
}

#[tokio::test]
async fn retry_failed_retries_only_tasks_of_the_caller() {
    let stage = Stage::new(1);
    let user = |role| Caller::User { id: UserId::new(), role };
    let (ada, eve, admin) = (user(UserRole::User), user(UserRole::User), user(UserRole::Admin));
    let new = |agent: &str| Task::pending(NewTask::new(agent, json!({})), None, None, stage.clock.now());
    for (owner, agent, count) in [(&ada, "actor", 130), (&ada, "gone", 1), (&eve, "actor", 120)] {
        let tasks = (0..count).map(|_| Task { owner: owner.owner(), ..new(agent) }).collect();
        stage.store.enqueue(tasks).await.unwrap();
    }
    let good = stage.store.enqueue(vec![new("other")]).await.unwrap().remove(0);
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["actor".into(), "gone".into()],
        limit: 1_000,
        lease: Duration::from_secs(30),
        now: stage.clock.now(),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let fail = async || {
        let error = TaskError { kind: ErrorKind::Internal, message: "no".into() };
        let claims = stage.store.claim(&request).await.unwrap();
        let finished = claims
            .iter()
            .map(|claim| OutcomeRecord { claim: claim.key(), outcome: Outcome::Failed(error.clone()) });
        stage.store.record_outcomes(finished.collect(), stage.clock.now()).await.unwrap();
        claims.len()
    };
    let retried = async |caller: &Caller, agent: Option<&str>| {
        stage.engine.retry_failed(caller, agent.map(str::to_owned)).await.unwrap()
    };
    assert_eq!(fail().await, 251);
    assert_eq!(retried(&ada, Some("nobody")).await, 0);
    assert_eq!(retried(&ada, Some("actor")).await, 130);
    assert_eq!(fail().await, 130);
    assert_eq!(retried(&eve, None).await, 120);
    assert_eq!(retried(&eve, None).await, 0);
    assert_eq!(retried(&admin, None).await, 131);
    let counts = stage.engine.statistics(&Caller::System, None).await.unwrap().counts;
    let pending = |agent: &str, count| TaskCount { agent: agent.into(), status: TaskStatus::Pending, count };
    assert_eq!(counts, [pending("actor", 250), pending("gone", 1), pending("other", 1)]);
    assert_eq!(stage.engine.task(&ME, good.id).await.unwrap().failures, 0);
}

#[tokio::test]
async fn idempotency_key_with_another_request_is_a_conflict() {
    let stage = Stage::new(1);
    let keyed = |what: &str| NewTask {
        idempotency_key: Some("k".into()),
        ..NewTask::new("actor", json!({ "do": what }))
    };
    let first = stage.engine.submit_as(&ME, keyed("finish")).await.unwrap();
    assert_eq!(stage.engine.submit_as(&ME, keyed("finish")).await.unwrap().id, first.id);
    let error = stage.engine.submit_as(&ME, keyed("talk")).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("idempotency_key")));

    let at = |seconds| Some(stage.clock.now() + Duration::from_secs(seconds));
    let later = NewTask { run_at: at(600), idempotency_key: Some("later".into()), ..keyed("finish") };
    let known = stage.engine.submit_as(&ME, later.clone()).await.unwrap();
    for other in [
        NewTask { title: "x".into(), ..later.clone() },
        NewTask { description: "x".into(), ..later.clone() },
        NewTask { priority: Some(6), ..later.clone() },
        NewTask { timeout_seconds: Some(299), ..later.clone() },
        NewTask { max_attempts: Some(2), ..later.clone() },
        NewTask { run_at: at(601), ..later.clone() },
        NewTask { run_at: None, ..later.clone() },
        NewTask { run_at: at(600), ..keyed("finish") },
    ] {
        let error = stage.engine.submit_as(&ME, other).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("idempotency_key")));
    }
    stage.clock.advance(Duration::from_secs(5));
    assert_eq!(stage.engine.submit_as(&ME, keyed("finish")).await.unwrap().id, first.id);
    assert_eq!(stage.engine.submit_as(&ME, later.clone()).await.unwrap().id, known.id);

    // A retry changes the due time, but not the request.
    let keyed = NewTask { idempotency_key: Some("retried".into()), max_attempts: Some(1), ..keyed("fail") };
    let task = stage.engine.submit_as(&ME, keyed.clone()).await.unwrap();
    stage.engine.start().await.unwrap();
    stage.until_ended(&task).await;
    stage.engine.retry(&ME, task.id).await.unwrap();
    assert_eq!(stage.engine.submit_as(&ME, keyed).await.unwrap().id, task.id);
}

#[test]
fn invalid_engine_is_not_built() {
    let actor = || Arc::new(Actor::default());
    for (builder, field) in [
        (Engine::builder().lease(Duration::from_millis(10)), "lease"),
        (Engine::builder().agent(actor()).agent(actor()), "agent.name"),
    ] {
        assert_eq!(builder.build().unwrap_err().field(), Some(field));
    }
}

#[tokio::test]
async fn engine_without_workers_leaves_tasks_to_other_processes() {
    let (store, clock) = (Arc::new(MemoryTaskStore::new()), Arc::new(ManualClock::new()));
    let engine = |workers| {
        let builder = Engine::builder().task_store(store.clone()).clock(clock.clone());
        builder.agent(Arc::new(Actor::default())).workers(workers).build().unwrap()
    };
    let (idle, working) = (engine(0), engine(1));
    idle.start().await.unwrap();
    assert_eq!(idle.overdue().await.unwrap(), None);
    let task = idle.submit_as(&ME, NewTask::new("actor", json!({ "do": "finish" }))).await.unwrap();
    clock.advance(Duration::from_secs(90));
    assert_eq!(idle.overdue().await.unwrap(), Some(Duration::from_secs(90)));
    assert_eq!((idle.held(), idle.task(&ME, task.id).await.unwrap().status), (0, TaskStatus::Pending));
    working.start().await.unwrap();
    assert_eq!(idle.wait(&ME, task.id).await.unwrap().status, TaskStatus::Completed);
    assert_eq!(idle.overdue().await.unwrap(), None);
    for engine in [idle, working] {
        engine.shutdown_within(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test]
async fn task_and_children_continue_the_trace_of_the_request() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let place = TraceContext::of_request("order-17").unwrap();
    let new = NewTask::new("actor", json!({ "do": "tree", "depth": 1 }));
    let submitted = stage.engine.submit_as(&ME, new.clone());
    let task = trace::run(Arc::new(SilentTracer), Span::none(), place.clone(), submitted).await.unwrap();
    assert_eq!(task.trace, Some(place.clone()));
    stage.until_ended(&task).await;
    let query = TaskQuery { parent: Some(task.id), ..TaskQuery::default() };
    let children = stage.engine.tasks(&ME, query).await.unwrap().items;
    assert!(!children.is_empty());
    assert!(children.iter().all(|child| child.trace == Some(place.clone())), "{children:?}");

    let [one, other] = [new.clone(), new].map(|new| stage.engine.submit_as(&ME, new));
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert!(one.trace.is_some() && one.trace != other.trace, "each begins a trace of its own");
}

#[test]
fn callers_cannot_set_the_trace() {
    let text =
        json!({ "agent": "actor", "trace": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
    let error = serde_json::from_value::<NewTask>(text).unwrap_err();
    assert!(error.to_string().contains("unknown field `trace`"), "{error}");
}
