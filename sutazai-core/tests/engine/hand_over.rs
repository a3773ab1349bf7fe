//! Local dispatch: a task submitted while none are waiting starts after the transaction that stores it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sutazai_core::domain::TaskStatus::{Completed, Pending, Processing};
use sutazai_core::domain::{Caller, NewTask, Task};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Clock, TaskRecords};

use super::faulty_task_store::FaultyTaskStore;
use super::stage::{ME, Stage, settle};

/// Starts an engine that waits for tasks.
async fn idle(workers: usize) -> (Stage, Arc<FaultyTaskStore>) {
    let store = Arc::new(MemoryTaskStore::new());
    let seen = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, seen.clone(), workers);
    stage.engine.start().await.unwrap();
    settle().await;
    (stage, seen)
}

fn runs(stage: &Stage) -> u64 {
    stage.actor.runs.load(Ordering::SeqCst).into()
}

#[tokio::test]
async fn idle_engine_starts_a_task_without_a_claim() {
    let (stage, line) = idle(1).await;
    // From now on every claim fails.
    line.faults.store(u32::MAX, Ordering::SeqCst);
    let first = stage.submit("hang").await;
    assert_eq!((first.status, first.attempt, first.worker), (Pending, 0, None), "told as it was added");
    let second = stage.submit("hang").await;
    settle().await;
    assert_eq!(runs(&stage), 1, "one slot");
    assert_eq!(stage.statuses(&first).await, [Pending, Processing]);
    assert_eq!(stage.statuses(&second).await, [Pending]);
    let held = stage.store.get(first.id).await.unwrap().unwrap();
    assert_eq!((held.attempt, held.worker), (1, Some(stage.engine.worker())));
}

#[tokio::test]
async fn delayed_and_deduplicated_tasks_are_not_dispatched_locally() {
    let (stage, line) = idle(4).await;
    line.faults.store(u32::MAX, Ordering::SeqCst);
    let later = NewTask {
        run_at: Some(stage.clock.now() + Duration::from_secs(60)),
        ..NewTask::new("actor", json!({}))
    };
    let unique = NewTask { unique_key: Some("one".into()), ..NewTask::new("actor", json!({})) };
    for new in [later, unique] {
        let task = stage.engine.submit_as(&ME, new).await.unwrap();
        assert_eq!(stage.statuses(&task).await, [Pending]);
    }
}

#[tokio::test]
async fn delayed_task_starts_despite_constant_local_dispatch() {
    let (stage, _) = idle(2).await;
    let run_at = Some(stage.clock.now() + Duration::from_secs(3));
    let later = NewTask { run_at, ..NewTask::new("actor", json!({})) };
    let later = stage.engine.submit_as(&ME, later).await.unwrap();
    settle().await;
    for _ in 0..310 {
        stage.clock.advance(Duration::from_millis(10));
        let now = stage.submit("finish").await;
        settle().await;
        assert_eq!(stage.statuses(&now).await.last(), Some(&Completed));
    }
    assert_eq!(stage.statuses(&later).await, [Pending, Processing, Completed]);
}

#[tokio::test]
async fn batch_is_dispatched_completely_or_not_at_all() {
    let (stage, line) = idle(4).await;
    line.faults.store(u32::MAX, Ordering::SeqCst);
    let hang = NewTask::new("actor", json!({ "do": "hang" }));
    let fits = stage.engine.submit_all_as(&ME, vec![hang.clone(); 3]).await.unwrap();
    assert!(fits.iter().all(|task| task.status == Pending), "told as they were added");
    settle().await;
    assert_eq!(stage.in_status(&fits, Processing).await, 3);
    let too_many = stage.engine.submit_all_as(&ME, vec![hang; 2]).await.unwrap();
    settle().await;
    assert_eq!(stage.in_status(&too_many, Pending).await, 2, "one slot was left");
    assert_eq!(runs(&stage), 3);
}

/// Returns the tasks that were dispatched together to an engine with two workers and very short attempts: two of
/// `first`, and eight short ones.
async fn more_than_slots(first: &NewTask) -> (Stage, Arc<FaultyTaskStore>, Vec<Task>) {
    let short = NewTask::new("actor", json!({}));
    let many = [vec![first.clone(); 2], vec![short.clone(); 8]].concat();
    // On a busy machine an attempt, or the time until the next call, may take too long, so it is repeated.
    for _ in 0..100 {
        let (stage, line) = idle(2).await;
        // Long after the last claim, so that its prefetch does not count.
        stage.clock.advance(Duration::from_secs(2));
        settle().await;
        for _ in 0..20 {
            stage.engine.submit_as(&ME, short.clone()).await.unwrap();
            settle().await;
        }
        line.faults.store(u32::MAX, Ordering::SeqCst);
        let many = stage.engine.submit_all_as(&ME, many.clone()).await.unwrap();
        settle().await;
        if stage.in_status(&many, Processing).await == 10 {
            return (stage, line, many);
        }
    }
    panic!("ten tasks never went together to two slots");
}

#[tokio::test]
async fn short_tasks_beyond_the_free_workers_are_dispatched_locally() {
    let (stage, ..) = more_than_slots(&NewTask::new("actor", json!({}))).await;
    assert_eq!(runs(&stage), 30, "without a claim");
}

#[tokio::test]
async fn queued_claim_is_released_after_one_second() {
    let (stage, line, many) = more_than_slots(&NewTask::new("actor", json!({ "do": "hang" }))).await;
    line.faults.store(0, Ordering::SeqCst);
    stage.clock.advance(Duration::from_millis(900));
    settle().await;
    assert_eq!(stage.in_status(&many, Processing).await, 10);
    stage.clock.advance(Duration::from_millis(200));
    settle().await;
    assert_eq!(stage.in_status(&many, Pending).await, 8);
}

#[tokio::test]
async fn failed_enqueue_releases_its_reservation() {
    let (stage, line) = idle(1).await;
    line.refusals.store(1, Ordering::SeqCst);
    stage.engine.submit_as(&ME, NewTask::new("actor", json!({}))).await.unwrap_err();
    line.faults.store(u32::MAX, Ordering::SeqCst);
    stage.submit("hang").await;
    settle().await;
    assert_eq!(runs(&stage), 1);
}

#[tokio::test]
async fn known_idempotency_key_does_not_start_the_task_again() {
    let (stage, _) = idle(4).await;
    let new =
        NewTask { idempotency_key: Some("order".into()), ..NewTask::new("actor", json!({ "do": "hang" })) };
    let first = stage.engine.submit_as(&ME, new.clone()).await.unwrap();
    for _ in 0..3 {
        let again = stage.engine.submit_as(&ME, new.clone()).await.unwrap();
        assert_eq!((again.id, again.status), (first.id, Processing));
    }
    settle().await;
    assert_eq!(runs(&stage), 1);
}

/// Starts a submission while no task can be enqueued.
async fn in_the_middle_of_adding(stage: &Stage) -> tokio::task::JoinHandle<Task> {
    let engine = stage.engine.clone();
    let submitting =
        tokio::spawn(async move { engine.submit_as(&ME, NewTask::new("actor", json!({}))).await.unwrap() });
    settle().await;
    submitting
}

#[tokio::test]
async fn task_of_a_cancelled_submission_still_runs() {
    let (stage, line) = idle(1).await;
    let held = line.adding.lock().await;
    let submitting = in_the_middle_of_adding(&stage).await;
    submitting.abort();
    assert!(submitting.await.unwrap_err().is_cancelled());
    drop(held);
    settle().await;
    assert_eq!(runs(&stage), 1);
    let counts = stage.engine.statistics(&Caller::System, None).await.unwrap().counts;
    assert_eq!(counts.iter().map(|count| (count.status, count.count)).collect::<Vec<_>>(), [(Completed, 1)]);
}

#[tokio::test]
async fn task_enqueued_during_shutdown_is_released() {
    let (stage, line) = idle(1).await;
    let held = line.adding.lock().await;
    let submitting = in_the_middle_of_adding(&stage).await;
    let engine = stage.engine.clone();
    let stopping = tokio::spawn(async move { engine.shutdown_within(Duration::ZERO).await });
    settle().await;
    drop(held);
    let task = submitting.await.unwrap();
    stage.shut_down(Duration::ZERO).await;
    stopping.await.unwrap().unwrap();
    let left = stage.store.get(task.id).await.unwrap().unwrap();
    assert_eq!((left.status, left.failures, left.worker), (Pending, 0, None));
    assert_eq!(runs(&stage), 0);
}
