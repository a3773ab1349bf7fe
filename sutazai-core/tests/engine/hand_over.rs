//! A task that comes when nothing waits begins in the write that adds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sutazai_core::domain::TaskStatus::{Completed, Pending, Processing};
use sutazai_core::domain::{NewTask, Task};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{Clock, TaskStore};

use super::faulty_task_store::FaultyTaskStore;
use super::stage::{ME, Stage, settle};

/// An engine that waits for work.
async fn idle(workers: usize) -> (Stage, Arc<FaultyTaskStore>) {
    let store = Arc::new(MemoryTaskStore::new());
    let seen = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, seen.clone(), workers);
    stage.engine.start();
    settle().await;
    (stage, seen)
}

fn runs(stage: &Stage) -> u64 {
    stage.actor.runs.load(Ordering::SeqCst).into()
}

#[tokio::test]
async fn an_idle_engine_needs_no_claim() {
    let (stage, line) = idle(1).await;
    // From now on no claim can be made.
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
async fn what_has_to_wait_is_not_taken_ahead() {
    let (stage, line) = idle(4).await;
    line.faults.store(u32::MAX, Ordering::SeqCst);
    let later = NewTask {
        run_at: Some(stage.clock.now() + Duration::from_secs(60)),
        ..NewTask::new("actor", json!({}))
    };
    let unique = NewTask { unique_key: Some("one".into()), ..NewTask::new("actor", json!({})) };
    for new in [later, unique] {
        let task = stage.engine.submit(&ME, new).await.unwrap();
        assert_eq!(stage.statuses(&task).await, [Pending]);
    }
}

#[tokio::test]
async fn what_becomes_due_begins_however_much_is_handed_over() {
    let (stage, _) = idle(2).await;
    let run_at = Some(stage.clock.now() + Duration::from_secs(3));
    let later = NewTask { run_at, ..NewTask::new("actor", json!({})) };
    let later = stage.engine.submit(&ME, later).await.unwrap();
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
async fn tasks_of_one_call_go_together_or_not_at_all() {
    let (stage, line) = idle(4).await;
    line.faults.store(u32::MAX, Ordering::SeqCst);
    let hang = NewTask::new("actor", json!({ "do": "hang" }));
    let fits = stage.engine.submit_all(&ME, vec![hang.clone(); 3]).await.unwrap();
    assert!(fits.iter().all(|task| task.status == Pending), "told as they were added");
    settle().await;
    assert_eq!(stage.in_status(&fits, Processing).await, 3);
    let too_many = stage.engine.submit_all(&ME, vec![hang; 2]).await.unwrap();
    settle().await;
    assert_eq!(stage.in_status(&too_many, Pending).await, 2, "one slot was left");
    assert_eq!(runs(&stage), 3);
}

/// What has gone together to an engine of two slots whose attempts end at once: these and eight short ones.
async fn more_than_slots(first: &NewTask) -> (Stage, Arc<FaultyTaskStore>, Vec<Task>) {
    let short = NewTask::new("actor", json!({}));
    let many = [vec![first.clone(); 2], vec![short.clone(); 8]].concat();
    // On a busy machine an attempt may take long, or the time to the next call.
    for _ in 0..100 {
        let (stage, line) = idle(2).await;
        // The last claim is long ago.
        stage.clock.advance(Duration::from_secs(2));
        settle().await;
        for _ in 0..20 {
            stage.engine.submit(&ME, short.clone()).await.unwrap();
            settle().await;
        }
        line.faults.store(u32::MAX, Ordering::SeqCst);
        let many = stage.engine.submit_all(&ME, many.clone()).await.unwrap();
        settle().await;
        if stage.in_status(&many, Processing).await == 10 {
            return (stage, line, many);
        }
    }
    panic!("ten tasks never went together to two slots");
}

#[tokio::test]
async fn more_than_there_are_slots_go_while_attempts_end_at_once() {
    let (stage, ..) = more_than_slots(&NewTask::new("actor", json!({}))).await;
    assert_eq!(runs(&stage), 30, "without a claim");
}

#[tokio::test]
async fn what_waits_for_a_slot_that_does_not_come_goes_back_after_a_second() {
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
async fn what_was_promised_and_could_not_be_added_leaves_its_room() {
    let (stage, line) = idle(1).await;
    line.refusals.store(1, Ordering::SeqCst);
    stage.engine.submit(&ME, NewTask::new("actor", json!({}))).await.unwrap_err();
    line.faults.store(u32::MAX, Ordering::SeqCst);
    stage.submit("hang").await;
    settle().await;
    assert_eq!(runs(&stage), 1);
}

#[tokio::test]
async fn a_known_key_gives_the_task_that_runs_and_starts_it_no_second_time() {
    let (stage, _) = idle(4).await;
    let new =
        NewTask { idempotency_key: Some("order".into()), ..NewTask::new("actor", json!({ "do": "hang" })) };
    let first = stage.engine.submit(&ME, new.clone()).await.unwrap();
    for _ in 0..3 {
        let again = stage.engine.submit(&ME, new.clone()).await.unwrap();
        assert_eq!((again.id, again.status), (first.id, Processing));
    }
    settle().await;
    assert_eq!(runs(&stage), 1);
}

/// Submits while nothing can be added.
async fn in_the_middle_of_adding(stage: &Stage) -> tokio::task::JoinHandle<Task> {
    let engine = stage.engine.clone();
    let submitting =
        tokio::spawn(async move { engine.submit(&ME, NewTask::new("actor", json!({}))).await.unwrap() });
    settle().await;
    submitting
}

#[tokio::test]
async fn who_submits_may_go_away() {
    let (stage, line) = idle(1).await;
    let held = line.adding.lock().await;
    let submitting = in_the_middle_of_adding(&stage).await;
    submitting.abort();
    assert!(submitting.await.unwrap_err().is_cancelled());
    drop(held);
    settle().await;
    assert_eq!(runs(&stage), 1);
    let counts = stage.engine.statistics().await.unwrap().counts;
    assert_eq!(counts.iter().map(|count| (count.status, count.count)).collect::<Vec<_>>(), [(Completed, 1)]);
}

#[tokio::test]
async fn what_is_added_while_the_engine_stops_is_handed_back() {
    let (stage, line) = idle(1).await;
    let held = line.adding.lock().await;
    let submitting = in_the_middle_of_adding(&stage).await;
    let engine = stage.engine.clone();
    let stopping = tokio::spawn(async move { engine.shutdown(Duration::ZERO).await });
    settle().await;
    drop(held);
    let task = submitting.await.unwrap();
    stage.shut_down(Duration::ZERO).await;
    stopping.await.unwrap();
    let left = stage.store.get(task.id).await.unwrap().unwrap();
    assert_eq!((left.status, left.failures, left.worker), (Pending, 0, None));
    assert_eq!(runs(&stage), 0);
}
