//! The engine over the memory store: everything that can become of a task. Time stands on a manual clock where it
//! matters; nothing sleeps.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use sutazai_core::domain::{
    AgentDescriptor, Caller, EventKind, NewTask, Step, Task, TaskQuery, TaskStatus, UserId, UserRole,
};
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Agent, AgentContext, Clock, TaskStore};
use sutazai_core::testing::ManualClock;
use sutazai_core::{Error, ErrorKind, Result};

/// Does what its payload's `do` says.
#[derive(Debug, Default)]
struct Actor {
    runs: AtomicU32,
}

#[async_trait]
impl Agent for Actor {
    fn descriptor(&self) -> AgentDescriptor {
        AgentDescriptor {
            name: "actor".into(),
            description: "Does what its payload says.".into(),
            capabilities: vec!["act".into()],
            input_schema: json!({
                "type": "object",
                "properties": { "do": { "type": "string" }, "depth": { "type": "integer", "minimum": 0 } },
                "additionalProperties": false
            }),
        }
    }

    async fn run(&self, context: &AgentContext) -> Result<Step> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let payload = &context.task.payload;
        match payload["do"].as_str().unwrap_or("finish") {
            "fail-twice" if context.task.failures < 2 => Err(Error::unavailable("not yet")),
            "fail" => Err(Error::unavailable("never")),
            "refuse" => Err(Error::invalid("payload.do", "expected something else")),
            "panic" => panic!("as asked"),
            "hang" => {
                context.cancellation.cancelled().await;
                Err(Error::cancelled("stopped"))
            }
            "talk" => {
                for word in ["one ", "two ", "three"] {
                    context.text(word);
                }
                context.progress(0.5, "half");
                Ok(Step::Done(json!("said")))
            }
            "tree" => {
                let depth = payload["depth"].as_u64().unwrap_or(0);
                if depth == 0 {
                    return Ok(Step::Done(json!(1)));
                }
                if context.children.is_empty() {
                    let child = NewTask::new("actor", json!({ "do": "tree", "depth": depth - 1 }));
                    return Ok(Step::Wait { children: vec![child.clone(), child], state: json!({ "asked": depth }) });
                }
                assert_eq!(context.task.state, Some(json!({ "asked": depth })));
                let sum: u64 = context.children.iter().filter_map(|child| child.result.as_ref()?.as_u64()).sum();
                Ok(Step::Done(json!(sum + 1)))
            }
            "bad-child" => {
                Ok(Step::Wait { children: vec![NewTask::new("nobody", json!({}))], state: Value::Null })
            }
            _ => Ok(Step::Done(json!({ "run": run }))),
        }
    }
}

struct Stage {
    engine: Engine,
    store: Arc<MemoryTaskStore>,
    clock: Arc<ManualClock>,
    actor: Arc<Actor>,
}

const ME: Caller = Caller::System;

impl Stage {
    fn new(workers: usize) -> Self {
        let (store, clock) = (Arc::new(MemoryTaskStore::new()), Arc::new(ManualClock::new()));
        let actor = Arc::new(Actor::default());
        let builder = Engine::builder().task_store(store.clone()).clock(clock.clone()).agent(actor.clone());
        Self { engine: builder.workers(workers).build().unwrap(), store, clock, actor }
    }

    async fn submit(&self, what: &str) -> Task {
        self.engine.submit(&ME, NewTask::new("actor", json!({ "do": what }))).await.unwrap()
    }

    /// Lets time pass in small steps until the task has ended.
    async fn until_ended(&self, task: &Task) -> Task {
        let wait = self.engine.wait(&ME, task.id);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                biased;
                ended = &mut wait => return ended.unwrap(),
                () = settle() => self.clock.advance(Duration::from_millis(500)),
            }
        }
    }

    async fn until_processing(&self, task: &Task) {
        while self.engine.task(&ME, task.id).await.unwrap().status != TaskStatus::Processing {
            settle().await;
        }
    }

    async fn statuses(&self, task: &Task) -> Vec<TaskStatus> {
        let events = self.store.events_after(task.id, 0, 1_000).await.unwrap();
        assert!(events.iter().enumerate().all(|(i, event)| event.sequence == i as u64 + 1), "a gap: {events:?}");
        events
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::Status { status, .. } => Some(status),
                _ => None,
            })
            .collect()
    }
}

/// Lets everything that is ready run.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

use TaskStatus::{Cancelled, Completed, Failed, Pending, Processing};

#[tokio::test]
async fn a_submitted_task_runs_though_the_clock_stands_still() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("finish").await;
    let ended = stage.engine.wait(&ME, task.id).await.unwrap();
    assert_eq!((ended.status, ended.result), (Completed, Some(json!({ "run": 1 }))));
    assert_eq!(stage.statuses(&task).await, [Pending, Processing, Completed]);
    let later = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, later.id).await.unwrap().status, Completed);
}

#[tokio::test]
async fn temporary_errors_are_tried_again_later() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("fail-twice").await;
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.failures, ended.attempt), (Completed, 2, 3));
    assert_eq!(
        stage.statuses(&task).await,
        [Pending, Processing, Pending, Processing, Pending, Processing, Completed]
    );
}

#[tokio::test]
async fn after_the_last_attempt_it_is_a_dead_letter_and_can_be_retried() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("fail").await;
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.failures), (Failed, 3));
    assert_eq!(ended.error.unwrap().kind, ErrorKind::Unavailable);
    assert_eq!(stage.engine.retry(&ME, task.id).await.unwrap().failures, 0);
    assert_eq!(stage.until_ended(&task).await.failures, 3);
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn lasting_errors_are_not_tried_again() {
    let stage = Stage::new(1);
    stage.engine.start();
    for (what, kind) in [("refuse", ErrorKind::InvalidInput), ("bad-child", ErrorKind::InvalidInput)] {
        let task = stage.submit(what).await;
        let ended = stage.engine.wait(&ME, task.id).await.unwrap();
        assert_eq!((ended.status, ended.failures, ended.error.unwrap().kind), (Failed, 1, kind), "{what}");
    }
}

#[tokio::test]
async fn a_panic_ends_the_attempt_and_nothing_else() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("panic").await;
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.error.unwrap().kind), (Failed, ErrorKind::Internal));
    let next = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, next.id).await.unwrap().status, Completed);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_a_timeout() {
    let stage = Stage::new(1);
    stage.engine.start();
    let mut new = NewTask::new("actor", json!({ "do": "hang" }));
    (new.timeout_seconds, new.max_attempts) = (7, 1);
    let task = stage.engine.submit(&ME, new).await.unwrap();
    let begun = stage.clock.now();
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.error.unwrap().kind), (Failed, ErrorKind::Timeout));
    assert!((stage.clock.now() - begun).num_seconds() >= 7);
}

#[tokio::test]
async fn a_running_task_is_cancelled_at_once() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    assert!(stage.engine.cancel(&ME, task.id).await.unwrap().cancel_requested);
    assert_eq!(stage.engine.wait(&ME, task.id).await.unwrap().status, Cancelled);
    let again = stage.engine.cancel(&ME, task.id).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_cancellation_in_another_process_comes_with_the_heartbeat() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    stage.store.cancel(task.id, stage.clock.now()).await.unwrap();
    assert_eq!(stage.until_ended(&task).await.status, Cancelled);
}

#[tokio::test]
async fn one_worker_runs_any_graph() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.engine.submit(&ME, NewTask::new("actor", json!({ "do": "tree", "depth": 3 }))).await.unwrap();
    let ended = stage.engine.wait(&ME, task.id).await.unwrap();
    assert_eq!((ended.status, ended.result, ended.failures), (Completed, Some(json!(15)), 0));
}

#[tokio::test]
async fn what_an_agent_says_comes_in_order_before_its_end() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("talk").await;
    let events: Vec<_> =
        stage.engine.events(&ME, task.id, 0).await.unwrap().map(|event| event.unwrap().kind).collect().await;
    let names: Vec<_> = events.iter().map(EventKind::name).collect();
    assert_eq!(names, ["status", "status", "text", "progress", "status"]);
    assert_eq!(events[2], EventKind::Text { text: "one two three".into() });
    let resumed: Vec<_> = stage.engine.events(&ME, task.id, 3).await.unwrap().collect().await;
    assert_eq!(resumed.iter().map(|event| event.as_ref().unwrap().sequence).collect::<Vec<_>>(), [4, 5]);
}

#[tokio::test]
async fn shutdown_hands_back_what_runs_and_what_waits() {
    let stage = Stage::new(2);
    stage.engine.start();
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let task = stage.submit("hang").await;
        stage.until_processing(&task).await;
        tasks.push(task);
    }
    let engine = stage.engine.clone();
    let ended = tokio::spawn(async move { engine.shutdown(Duration::from_secs(3)).await });
    while !ended.is_finished() {
        settle().await;
        stage.clock.advance(Duration::from_secs(1));
    }
    for task in tasks {
        let left = stage.engine.task(&ME, task.id).await.unwrap();
        assert_eq!((left.status, left.failures), (Pending, 0));
        assert!(left.worker.is_none());
    }
}

#[tokio::test]
async fn a_lost_lease_records_nothing() {
    let stage = Stage::new(1);
    stage.engine.start();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    // As if this process had been stopped for longer than its lease.
    stage.store.expire(stage.clock.now() + Duration::from_secs(3_600)).await.unwrap();
    stage.store.cancel(task.id, stage.clock.now()).await.unwrap();
    for _ in 0..20 {
        stage.clock.advance(Duration::from_secs(1));
        settle().await;
    }
    assert_eq!(stage.statuses(&task).await, [Pending, Processing, Pending, Cancelled]);
    let next = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, next.id).await.unwrap().status, Completed);
}

#[tokio::test]
async fn bad_requests_name_the_field_and_add_nothing() {
    let stage = Stage::new(1);
    for (new, field) in [
        (NewTask::new("nobody", json!({})), "agent"),
        (NewTask::new("actor", json!({ "do": 5 })), "payload.do"),
        (NewTask::new("actor", json!({ "depth": -1 })), "payload.depth"),
        (NewTask::new("actor", json!({ "more": 1 })), "payload.more"),
        (NewTask::new("actor", json!([])), "payload"),
        (NewTask { priority: 10, ..NewTask::new("actor", json!({})) }, "priority"),
    ] {
        let error = stage.engine.submit_all(&ME, vec![NewTask::new("actor", json!({})), new]).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidInput, Some(field)), "{error}");
    }
    let all = stage.engine.tasks(&ME, TaskQuery { limit: 100, ..TaskQuery::default() }).await.unwrap();
    assert!(all.items.is_empty());
}

#[tokio::test]
async fn foreign_tasks_are_not_there() {
    let stage = Stage::new(1);
    let user = |role| Caller::User { id: UserId::new(), role };
    let (ada, eve, admin) = (user(UserRole::User), user(UserRole::User), user(UserRole::Admin));
    let task = stage.engine.submit(&ada, NewTask::new("actor", json!({}))).await.unwrap();
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
    let query = TaskQuery { limit: 10, ..TaskQuery::default() };
    let stolen = TaskQuery { owner: ada.owner(), ..query.clone() };
    assert!(engine.tasks(&eve, stolen).await.unwrap().items.is_empty());
    assert_eq!(engine.tasks(&ada, query.clone()).await.unwrap().items.len(), 1);
    assert_eq!(engine.tasks(&admin, query).await.unwrap().items.len(), 1);
    assert_eq!(engine.task(&admin, id).await.unwrap().id, id);
}

#[tokio::test]
async fn one_key_is_one_task_and_asks_for_one_thing() {
    let stage = Stage::new(1);
    let keyed = |what: &str| NewTask { idempotency_key: Some("k".into()), ..NewTask::new("actor", json!({ "do": what })) };
    let first = stage.engine.submit(&ME, keyed("finish")).await.unwrap();
    assert_eq!(stage.engine.submit(&ME, keyed("finish")).await.unwrap().id, first.id);
    let error = stage.engine.submit(&ME, keyed("talk")).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("idempotency_key")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tasks_end_once_each() {
    let stage = Stage::new(8);
    stage.engine.start();
    let new = vec![NewTask::new("actor", json!({})); 10_000];
    let tasks = stage.engine.submit_all(&ME, new).await.unwrap();
    for task in &tasks {
        assert_eq!(stage.engine.wait(&ME, task.id).await.unwrap().status, Completed);
    }
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 10_000);
    for task in &tasks {
        assert_eq!(stage.statuses(task).await, [Pending, Processing, Completed]);
    }
}

#[test]
fn an_engine_that_cannot_work_is_not_built() {
    let store = || Arc::new(MemoryTaskStore::new());
    let actor = || Arc::new(Actor::default());
    for (builder, field) in [
        (Engine::builder(), "task_store"),
        (Engine::builder().task_store(store()).workers(0), "workers"),
        (Engine::builder().task_store(store()).lease(Duration::from_millis(10)), "lease"),
        (Engine::builder().task_store(store()).agent(actor()).agent(actor()), "agent.name"),
    ] {
        assert_eq!(builder.build().unwrap_err().field(), Some(field));
    }
}
