//! Ends of tasks and of the engine: cancellation, time limits, shutdown, lost leases, and an unreachable store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use sutazai_core::ErrorKind;
use sutazai_core::domain::TaskStatus::{Cancelled, Completed, Failed, Pending, Processing};
use sutazai_core::domain::{ConcurrencyLimits, EventKind, InstanceId, NewTask, TaskQuery};
use sutazai_core::engine::Engine;
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{ClaimRequest, Clock, EventLog, TaskQueue, TaskRecords};

use super::faulty_task_store::FaultyTaskStore;
use super::stage::{ME, Stage, settle};

#[tokio::test]
async fn attempt_beyond_its_time_limit_is_a_timeout() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let mut new = NewTask::new("actor", json!({ "do": "hang" }));
    (new.timeout_seconds, new.max_attempts) = (Some(7), Some(1));
    let task = stage.engine.submit_as(&ME, new).await.unwrap();
    let begun = stage.clock.now();
    let ended = stage.until_ended(&task).await;
    assert_eq!((ended.status, ended.error.unwrap().kind), (Failed, ErrorKind::Timeout));
    assert!((stage.clock.now() - begun).num_seconds() >= 7);
}

#[tokio::test]
async fn running_task_is_cancelled_at_once() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    assert!(stage.engine.cancel(&ME, task.id).await.unwrap().cancel_requested);
    assert_eq!(stage.engine.wait(&ME, task.id).await.unwrap().status, Cancelled);
    let again = stage.engine.cancel(&ME, task.id).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn cancellation_of_another_process_arrives_with_the_heartbeat() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    stage.store.cancel(task.id, stage.clock.now()).await.unwrap();
    assert_eq!(stage.until_ended(&task).await.status, Cancelled);
}

// The clock stands still in the next two tests, so that no heartbeat takes part.
#[tokio::test]
async fn task_is_cancelled_between_its_claim_and_its_start() {
    let store = Arc::new(MemoryTaskStore::new());
    let line = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, line.clone(), 1);
    let task = stage.submit("hang").await;
    let answering = line.answering.lock().await;
    stage.engine.start().await.unwrap();
    stage.until_processing(&task).await;
    assert!(stage.engine.cancel(&ME, task.id).await.unwrap().cancel_requested);
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 0, "it has started");
    drop(answering);
    assert_eq!(stage.engine.wait(&ME, task.id).await.unwrap().status, Cancelled);
}

#[tokio::test]
async fn task_is_cancelled_between_its_local_dispatch_and_its_start() {
    let store = Arc::new(MemoryTaskStore::new());
    let line = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, line.clone(), 1);
    stage.engine.start().await.unwrap();
    settle().await;
    let answering = line.answering.lock().await;
    let engine = stage.engine.clone();
    let new = NewTask::new("actor", json!({ "do": "hang" }));
    let submitting = tokio::spawn(async move { engine.submit_as(&ME, new).await.unwrap() });
    settle().await;
    let stored = stage.engine.tasks(&ME, TaskQuery::default()).await.unwrap().items.remove(0);
    assert_eq!(stored.status, Processing);
    assert!(stage.engine.cancel(&ME, stored.id).await.unwrap().cancel_requested);
    drop(answering);
    let task = submitting.await.unwrap();
    assert_eq!(stage.engine.wait(&ME, task.id).await.unwrap().status, Cancelled);
}

#[tokio::test]
async fn shutdown_releases_running_tasks() {
    let stage = Stage::new(2);
    stage.engine.start().await.unwrap();
    let mut tasks = Vec::new();
    for _ in 0..2 {
        let task = stage.submit("hang").await;
        stage.until_processing(&task).await;
        tasks.push(task);
    }
    stage.shut_down(Duration::from_secs(3)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0, "something still runs");
    for task in tasks {
        let left = stage.engine.task(&ME, task.id).await.unwrap();
        assert_eq!((left.status, left.failures), (Pending, 0));
        assert!(left.worker.is_none());
    }
}

#[tokio::test]
async fn shutdown_releases_prefetched_claims() {
    let stage = Stage::new(1);
    let tasks = stage.filled(50).await;
    stage.shut_down(Duration::ZERO).await;
    assert_eq!(stage.in_status(&tasks, Pending).await, 50);
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 501, "something began after the shutdown");
}

#[tokio::test]
async fn shutdown_waits_for_tasks_within_the_grace_period() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    let shutdown = stage.engine.shutdown_within(Duration::from_secs(60));
    let (stopped, cancelled) = tokio::join!(shutdown, stage.engine.cancel(&ME, task.id));
    stopped.unwrap();
    assert!(cancelled.unwrap().cancel_requested);
    assert_eq!(stage.engine.task(&ME, task.id).await.unwrap().status, Cancelled);
}

#[tokio::test]
async fn prefetched_claims_that_cannot_start_are_released() {
    let stage = Stage::new(1);
    let tasks = stage.filled(50).await;
    // The last claimed task is prefetched and has not started.
    let mut claimed = tasks.clone();
    for task in tasks.iter().rev() {
        if stage.engine.task(&ME, task.id).await.unwrap().status == Processing {
            break;
        }
        claimed.pop();
    }
    let cancelled = claimed.last().unwrap();
    assert!(stage.engine.cancel(&ME, cancelled.id).await.unwrap().cancel_requested);
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(stage.engine.wait(&ME, cancelled.id).await.unwrap().status, Cancelled);
    settle().await;
    assert_eq!(stage.in_status(&tasks, Processing).await, 1);
    assert_eq!(stage.in_status(&tasks, Pending).await, 48);
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 501);
}

#[tokio::test]
async fn agent_that_ignores_cancellation_is_aborted() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("stubborn").await;
    stage.until_processing(&task).await;
    stage.engine.cancel(&ME, task.id).await.unwrap();
    assert_eq!(stage.until_ended(&task).await.status, Cancelled);
    let next = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, next.id).await.unwrap().status, Completed);
}

#[tokio::test]
async fn unreachable_store_loses_no_outcome() {
    let store = Arc::new(MemoryTaskStore::new());
    let faulty = FaultyTaskStore::new(store.clone(), 4);
    let stage = Stage::over(store, faulty.clone(), 2);
    stage.engine.start().await.unwrap();
    let task = stage.submit("finish").await;
    assert_eq!(stage.until_ended(&task).await.status, Completed);
    assert_eq!(faulty.faults.load(Ordering::SeqCst), 0, "claims were to fail");
    let task = stage.submit("think-aloud").await;
    stage.until_processing(&task).await;
    faulty.faults.store(4, Ordering::SeqCst);
    stage.engine.cancel(&ME, task.id).await.unwrap();
    assert_eq!(stage.until_ended(&task).await.status, Cancelled);
    assert_eq!(faulty.faults.load(Ordering::SeqCst), 0, "outcomes were to fail");
    assert_eq!(stage.actor.runs.load(Ordering::SeqCst), 2, "an attempt was done twice");
    let said = stage.store.events_after(task.id, 2, 1).await.unwrap();
    assert!(matches!(said[0].kind, EventKind::Text { .. }), "{said:?}");
}

#[tokio::test]
async fn unacknowledged_append_is_not_repeated() {
    let store = Arc::new(MemoryTaskStore::new());
    let faulty = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, faulty.clone(), 1);
    stage.engine.start().await.unwrap();
    faulty.lost_answers.store(1, Ordering::SeqCst);
    let task = stage.submit("talk").await;
    assert_eq!(stage.until_ended(&task).await.status, Completed);
    assert_eq!(faulty.lost_answers.load(Ordering::SeqCst), 0, "an answer was to be lost");
    let events = stage.store.events_after(task.id, 2, 10).await.unwrap();
    let names: Vec<_> = events.iter().map(|event| event.kind.name()).collect();
    assert_eq!(names, ["text", "progress", "status"]);
}

#[tokio::test]
async fn attempt_stops_before_its_unrenewed_lease_expires() {
    for what in ["hang", "stubborn"] {
        let store = Arc::new(MemoryTaskStore::new());
        let faulty = FaultyTaskStore::new(store.clone(), 0);
        let stage = Stage::over(store, faulty.clone(), 1);
        stage.engine.start().await.unwrap();
        let task = stage.submit(what).await;
        stage.until_processing(&task).await;
        settle().await;
        let ends = stage.engine.task(&ME, task.id).await.unwrap().lease_until.unwrap();
        faulty.faults.store(u32::MAX, Ordering::SeqCst);
        let stopped = loop {
            stage.clock.advance(Duration::from_millis(250));
            settle().await;
            if stage.actor.running.load(Ordering::SeqCst) == 0 {
                break stage.clock.now();
            }
        };
        assert!(stopped < ends, "{what}: {stopped}, and the lease ended {ends}");
        assert!(ends - stopped < TimeDelta::seconds(8), "{what} was given up too soon: {stopped}");
        // The store is reachable again, the attempt is counted as lost, and the next one completes.
        faulty.faults.store(0, Ordering::SeqCst);
        stage.engine.cancel(&ME, task.id).await.unwrap();
        assert_eq!(stage.until_ended(&task).await.status, Cancelled);
    }
}

#[tokio::test]
async fn rejected_outcome_does_not_affect_others() {
    let store = Arc::new(MemoryTaskStore::new());
    let faulty = FaultyTaskStore::new(store.clone(), 0);
    let stage = Stage::over(store, faulty, 8);
    let mut all = Vec::new();
    for what in ["finish", "finish", "poison", "finish"] {
        all.push(NewTask { max_attempts: Some(1), ..NewTask::new("actor", json!({ "do": what })) });
    }
    let tasks = stage.engine.submit_all_as(&ME, all).await.unwrap();
    stage.engine.start().await.unwrap();
    for (task, status) in tasks.iter().zip([Completed, Completed, Failed, Completed]) {
        assert_eq!(stage.until_ended(task).await.status, status);
    }
}

#[tokio::test]
async fn setting_the_clock_reaps_no_running_attempt() {
    for jump in [TimeDelta::minutes(10), TimeDelta::days(400), TimeDelta::hours(-3)] {
        let stage = Stage::new(1);
        // Another process with the same store and clock, which reaps expired leases as well.
        let other = Engine::builder()
            .task_store(stage.store.clone())
            .clock(stage.clock.clone())
            .agent(stage.actor.clone())
            .workers(1)
            .build()
            .unwrap();
        stage.engine.start().await.unwrap();
        let task = stage.submit("hang").await;
        stage.until_processing(&task).await;
        other.start().await.unwrap();
        settle().await;
        for _ in 0..2 {
            stage.clock.set_by(jump);
            for _ in 0..100 {
                stage.clock.advance(Duration::from_millis(500));
                settle().await;
            }
        }
        let held = stage.engine.task(&ME, task.id).await.unwrap();
        assert_eq!((held.status, held.attempt, held.failures), (Processing, 1, 0), "{jump}");
        stage.engine.cancel(&ME, task.id).await.unwrap();
        assert_eq!(stage.until_ended(&task).await.status, Cancelled);
        assert_eq!(stage.statuses(&task).await, [Pending, Processing, Cancelled], "{jump}");
    }
}

#[tokio::test]
async fn task_of_a_dead_worker_is_reaped_after_a_clock_jump() {
    let stage = Stage::new(1);
    stage.submit("finish").await;
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["actor".into()],
        limit: 1,
        lease: Duration::from_secs(10),
        now: stage.clock.now(),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    // No process runs the task that this worker claims.
    let claim = stage.store.claim(&request).await.unwrap().remove(0);
    stage.engine.start().await.unwrap();
    settle().await;
    stage.clock.set_by(TimeDelta::minutes(10));
    let ended = stage.until_ended(&claim.task).await;
    assert_eq!((ended.status, ended.attempt, ended.failures), (Completed, 2, 1));
}

#[tokio::test]
async fn suspended_process_keeps_claims_that_were_not_reaped() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    settle().await;
    stage.clock.advance(Duration::from_secs(200));
    for _ in 0..40 {
        settle().await;
        stage.clock.advance(Duration::from_millis(500));
    }
    assert_eq!(stage.statuses(&task).await, [Pending, Processing]);
}

#[tokio::test]
async fn outcome_of_a_lost_lease_is_discarded() {
    let stage = Stage::new(1);
    stage.engine.start().await.unwrap();
    let task = stage.submit("hang").await;
    stage.until_processing(&task).await;
    // As if this process had been suspended for longer than its lease.
    stage.store.reap(stage.clock.now() + Duration::from_secs(3_600)).await.unwrap();
    stage.store.cancel(task.id, stage.clock.now()).await.unwrap();
    for _ in 0..20 {
        stage.clock.advance(Duration::from_secs(1));
        settle().await;
    }
    assert_eq!(stage.statuses(&task).await, [Pending, Processing, Pending, Cancelled]);
    let next = stage.submit("finish").await;
    assert_eq!(stage.engine.wait(&ME, next.id).await.unwrap().status, Completed);
}
