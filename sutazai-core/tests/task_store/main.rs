//! The task store over a storage that has nothing but plain reads and writes.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

mod storage;

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use serde_json::json;
use storage::{MapStorage, MapTransaction};
use sutazai_core::domain::{
    InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskId, TaskStatus, UserId, later,
};
use sutazai_core::ports::{Clock, SystemClock, TaskQueue, TaskRecords, TaskStore};
use sutazai_core::task_store::{Record, TaskStorage, TransactionalTaskStore};
use sutazai_core::testing::{event_log, schedules, task_queue, task_records};
use sutazai_core::{ErrorKind, Result};
use tokio::sync::broadcast::error::TryRecvError;

async fn empty() -> Arc<dyn TaskStore> {
    Arc::new(TransactionalTaskStore::new(MapStorage::default()))
}

fn task() -> Task {
    Task::pending(NewTask::new("echo", json!({})), None, None, SystemClock.now())
}

/// Creates a task that is claimed when it is added.
fn claimed() -> Task {
    let mut task = task();
    let now = task.created_at;
    task.claim(InstanceId::new(), later(now, std::time::Duration::from_secs(30)), now).unwrap();
    task
}

fn outcome(task: &Task, outcome: Outcome) -> OutcomeRecord {
    let worker = task.worker.unwrap();
    let claim = sutazai_core::domain::ClaimKey { task: task.id, attempt: task.attempt, worker };
    OutcomeRecord { claim, outcome }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    task_queue::run_all(empty).await;
    task_records::run_all(empty).await;
    event_log::run_all(empty).await;
}

#[tokio::test]
async fn passes_random_schedules() {
    for seed in 0..200 {
        schedules::run(empty, seed).await.unwrap();
    }
}

#[tokio::test]
async fn refused_call_changes_and_announces_nothing() {
    let store = TransactionalTaskStore::new(MapStorage::default());
    let mut wake_ups = sutazai_core::ports::EventLog::subscribe(&store);
    let task = Task { owner: Some(UserId::new()), ..task() };
    let e = store.enqueue_within(vec![task.clone()], Some(0)).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::RateLimited);
    assert_eq!(store.get(task.id).await.unwrap(), None);
    assert_eq!(wake_ups.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test]
async fn outcome_that_cannot_be_stored_does_not_affect_the_others() {
    let store = TransactionalTaskStore::new(MapStorage::default());
    let (known, waiting, done) = (task(), claimed(), claimed());
    store.enqueue(vec![known.clone(), waiting.clone(), done.clone()]).await.unwrap();
    let wait = Outcome::wait_for_all(vec![known], json!({}));
    let batch = vec![outcome(&waiting, wait), outcome(&done, Outcome::Completed(json!(1)))];
    let results = store.record_outcomes(batch, done.created_at).await.unwrap();
    assert_eq!(results[0].as_ref().map_err(|e| e.kind()), Err(ErrorKind::Conflict));
    assert!(results[1].is_ok(), "{results:?}");
    assert_eq!(store.get(waiting.id).await.unwrap(), Some(waiting));
    assert_eq!(store.get(done.id).await.unwrap().unwrap().status, TaskStatus::Completed);
}

#[tokio::test]
async fn damaged_task_ends_as_failed_and_the_others_are_claimed() {
    let storage = MapStorage::default();
    let store = TransactionalTaskStore::new(storage.clone());
    let (broken, good) = (task(), task());
    store.enqueue(vec![broken.clone(), good.clone()]).await.unwrap();
    let damage = |record: &mut Record| *record = record.clone().with_damage(vec!["payload"]);
    Arc::make_mut(&mut *storage.0.lock().await).tasks.entry(broken.id).and_modify(damage);
    let request = sutazai_core::ports::ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["echo".into()],
        limit: 10,
        lease: std::time::Duration::from_secs(30),
        now: good.created_at,
        limits: sutazai_core::domain::ConcurrencyLimits::default(),
        after: None,
    };
    let claims = store.claim(&request).await.unwrap();
    assert_eq!(claims.iter().map(|claim| claim.task.id).collect::<Vec<TaskId>>(), [good.id]);
    let failed = store.get(broken.id).await.unwrap().unwrap();
    assert_eq!(failed.status, TaskStatus::Failed);
    assert_eq!(failed.error.unwrap().message, "the stored task is damaged: cannot read its payload");
}

#[tokio::test]
async fn dropped_caller_that_waits_for_the_transaction_changes_nothing() {
    let storage = MapStorage::default();
    let store = TransactionalTaskStore::new(storage.clone());
    let task = task();
    let held = storage.0.clone().lock_owned().await;
    assert!(store.enqueue(vec![task.clone()]).now_or_never().is_none());
    tokio::task::yield_now().await;
    drop(held);
    assert_eq!(store.get(task.id).await.unwrap(), None);
}

#[derive(Debug)]
struct PanickingStorage;

#[async_trait]
impl TaskStorage for PanickingStorage {
    type Transaction = MapTransaction;

    async fn begin(&self) -> Result<MapTransaction> {
        panic!("as asked")
    }
}

#[tokio::test]
async fn panic_of_the_storage_is_an_error_of_the_call() {
    let store = TransactionalTaskStore::new(PanickingStorage);
    assert_eq!(store.get(TaskId::new()).await.unwrap_err().kind(), ErrorKind::Internal);
}
