//! Tasks that run to their end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::TaskStatus::{Cancelled, Completed, Failed, Pending, Processing};
use sutazai_core::domain::{EventKind, NewTask, TaskQuery};

use super::stage::{ME, Stage, settle};

#[tokio::test]
async fn submitted_task_runs_without_polling() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("finish").await;
    let ended = stage.engine.wait(&ME, task.id).await.unwrap();
    assert_eq!((ended.status, ended.result), (Completed, Some(json!({ "run": 1 }))));
    assert_eq!(stage.statuses(&task).await, [Pending, Processing, Completed]);
    let later = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, later.id).await.unwrap().status, Completed);
}

#[tokio::test]
async fn transient_error_is_retried() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("fail-twice").await;
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.failures, ended.attempt), (Completed, 2, 3));
    assert_eq!(
        stage.statuses(&task).await,
        [Pending, Processing, Pending, Processing, Pending, Processing, Completed]
    );
}

#[tokio::test]
async fn task_without_attempts_left_is_a_dead_letter_and_can_be_retried() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("fail").await;
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.failures), (Failed, 3));
    assert_eq!(ended.error.unwrap().kind, ErrorKind::Unavailable);
    assert_eq!(stage.engine.retry(&ME, task.id).await.unwrap().failures, 0);
    assert_eq!(stage.until_ended(&task).await.failures, 3);
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn permanent_error_is_not_retried() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let invalid = ErrorKind::InvalidInput;
    for (what, kind) in [("refuse", invalid), ("bad-child", invalid), ("deserialize", invalid)] {
        let task = stage.submit(what).await;
        let ended = stage.engine.wait(&ME, task.id).await.unwrap();
        assert_eq!((ended.status, ended.failures, ended.error.unwrap().kind), (Failed, 1, kind), "{what}");
    }
}

#[tokio::test]
async fn panic_ends_only_its_attempt() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("panic").await;
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.error.unwrap().kind), (Failed, ErrorKind::Internal));
    let next = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, next.id).await.unwrap().status, Completed);
}

#[tokio::test]
async fn one_worker_runs_any_graph() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage
        .engine
        .submit_as(&ME, NewTask::new("actor", json!({ "do": "tree", "depth": 3 })))
        .await
        .unwrap();
    let ended = stage.engine.wait(&ME, task.id).await.unwrap();
    assert_eq!((ended.status, ended.result, ended.failures), (Completed, Some(json!(15)), 0));
}

#[tokio::test]
async fn parent_runs_again_whenever_one_more_child_has_ended() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("race").await;
    let ended = stage.engine.wait(&ME, task.id).await.unwrap();
    assert_eq!((ended.status, ended.result, ended.failures), (Completed, Some(json!(2)), 0));
    let query = TaskQuery { parent: Some(task.id), ..TaskQuery::default() };
    let children = stage.engine.tasks(&ME, query).await.unwrap().items;
    let mut ends = Vec::new();
    for child in children {
        ends.push(stage.engine.wait(&ME, child.id).await.unwrap().status);
    }
    ends.sort();
    assert_eq!(ends, [Completed, Completed, Cancelled], "the child that was not needed is cancelled");

    let nobody = stage.submit("wait-for-nobody").await;
    let error = stage.engine.wait(&ME, nobody.id).await.unwrap().error.unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidInput);
    assert!(error.message.contains("at least one task to wait for"), "{}", error.message);
}

#[tokio::test]
async fn reported_events_precede_the_end_in_order() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("talk").await;
    let events: Vec<_> =
        stage.engine.events(&ME, task.id, 0).await.unwrap().map(|event| event.unwrap().kind).collect().await;
    let names: Vec<_> = events.iter().map(EventKind::name).collect();
    assert_eq!(names, ["status", "status", "text", "progress", "status"]);
    assert_eq!(events[2], EventKind::text("one two three"));
    let resumed: Vec<_> = stage.engine.events(&ME, task.id, 3).await.unwrap().collect().await;
    assert_eq!(resumed.iter().map(|event| event.as_ref().unwrap().sequence).collect::<Vec<_>>(), [4, 5]);
}

#[tokio::test]
async fn text_can_be_read_while_the_agent_still_writes() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("think-aloud").await;
    let mut events = stage.engine.events(&ME, task.id, 2).await.unwrap();
    stage.until_processing(&task).await;
    settle().await;
    stage.clock.advance(Duration::from_millis(200));
    let first = events.next().await.unwrap().unwrap();
    assert_eq!((first.sequence, first.kind), (3, EventKind::text("let me see")));
    assert_eq!(stage.engine.task(&ME, task.id).await.unwrap().status, Processing);
    stage.engine.cancel(&ME, task.id).await.unwrap();
    let last = events.next().await.unwrap().unwrap();
    assert!(matches!(last.kind, EventKind::Status { status: Cancelled, .. }), "{last:?}");
    assert!(events.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_tasks_end_once_each() {
    let stage = Stage::new(8);
    stage.engine.start().await.unwrap();
    let new = vec![NewTask::new("actor", json!({})); 10_000];
    let tasks = stage.engine.submit_all_as(&ME, new).await.unwrap();
    for task in &tasks {
        assert_eq!(stage.engine.wait(&ME, task.id).await.unwrap().status, Completed);
    }
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 10_000);
    for task in &tasks {
        assert_eq!(stage.statuses(task).await, [Pending, Processing, Completed]);
    }
}
