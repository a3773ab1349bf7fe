//! Task counters of the stores: each status that a task enters is counted once, by the process that caused
//! it. In a process of its own, since the metrics recorder is global.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

#[path = "postgres/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::json;
use sutazai_core::domain::{
    ConcurrencyLimits, InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskStatus,
};
use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::{ClaimRequest, TaskStore};

use place::Server;

fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap()
}

fn task(agent: &str, key: Option<&str>) -> Task {
    let new = NewTask {
        idempotency_key: key.map(Into::into),
        max_attempts: Some(2),
        ..NewTask::new(agent, json!({}))
    };
    Task::pending(new, None, None, at(0))
}

/// Returns how often tasks of this agent have entered each status since the last call.
fn entered(snapshotter: &Snapshotter, agent: &str) -> BTreeMap<String, u64> {
    let snapshot = snapshotter.snapshot().into_vec();
    let of = |(key, _, _, value): (metrics_util::CompositeKey, _, _, DebugValue)| {
        let labels: BTreeMap<_, _> = key.key().labels().map(|label| (label.key(), label.value())).collect();
        let counted = key.key().name() == "tasks_total" && labels["agent"] == agent;
        match value {
            DebugValue::Counter(times) if counted && times > 0 => Some((labels["status"].to_owned(), times)),
            _ => None,
        }
    };
    snapshot.into_iter().filter_map(of).collect()
}

fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(status, times)| ((*status).to_owned(), *times)).collect()
}

async fn claim(store: &dyn TaskStore, agent: &str, limit: u32, now: DateTime<Utc>) -> Vec<OutcomeRecord> {
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec![agent.into()],
        limit,
        lease: Duration::from_secs(30),
        now,
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let claims = store.claim(&request).await.unwrap();
    let record =
        |claim: sutazai_core::domain::Claim| OutcomeRecord { claim: claim.key(), outcome: Outcome::Released };
    claims.into_iter().map(record).collect()
}

async fn assert_each_status_is_counted_once(
    store: &dyn TaskStore,
    other: &dyn TaskStore,
    agent: &str,
    snapshotter: &Snapshotter,
) {
    // A task that exists already is not counted again.
    let tasks = vec![task(agent, Some("one")), task(agent, None)];
    store.enqueue(tasks).await.unwrap();
    store.enqueue(vec![task(agent, Some("one"))]).await.unwrap();
    assert_eq!(entered(snapshotter, agent), expected(&[("pending", 2)]));
    // One task completes; one waits for children and is cancelled together with those that have not begun.
    let mut held = claim(store, agent, 2, at(1)).await;
    assert_eq!(entered(snapshotter, agent), expected(&[("processing", 2)]));
    held[0].outcome = Outcome::Completed(json!(1));
    let parent = held[1].claim.task;
    held[1].outcome = Outcome::wait_for_all((0..3).map(|_| task(agent, None)).collect(), json!({}));
    assert!(store.record_outcomes(held.clone(), at(2)).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(entered(snapshotter, agent), expected(&[("completed", 1), ("pending", 4)]));
    assert!(
        store.record_outcomes(held, at(2)).await.unwrap().iter().all(Result::is_err),
        "claims that no longer hold their tasks"
    );
    let mut running = claim(store, agent, 1, at(3)).await;
    assert_eq!(entered(snapshotter, agent), expected(&[("processing", 1)]));
    other.cancel(parent, at(4)).await.unwrap();
    assert_eq!(entered(snapshotter, agent), expected(&[("cancelled", 3)]), "the parent and two children");
    running[0].outcome = Outcome::Cancelled;
    store.record_outcomes(running, at(5)).await.unwrap();
    assert_eq!(entered(snapshotter, agent), expected(&[("cancelled", 1)]));
    // Expired leases: the task goes back to the queue once, then fails. A second reaper counts nothing.
    let lost = store.enqueue(vec![task(agent, None)]).await.unwrap()[0].id;
    for (begin, status) in [(10, "pending"), (100, "failed")] {
        entered(snapshotter, agent);
        assert_eq!(claim(store, agent, 1, at(begin)).await.len(), 1);
        assert_eq!(store.reap(at(begin + 31)).await.unwrap() + other.reap(at(begin + 31)).await.unwrap(), 1);
        assert_eq!(entered(snapshotter, agent), expected(&[("processing", 1), (status, 1)]));
    }
    store.retry(lost, at(200)).await.unwrap();
    assert_eq!(entered(snapshotter, agent), expected(&[("pending", 1)]));
    assert!(store.retry(lost, at(200)).await.is_err());
    assert_eq!(store.get(lost).await.unwrap().unwrap().status, TaskStatus::Pending);
    assert_eq!(entered(snapshotter, agent), expected(&[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_store_counts_each_entered_status_once() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let memory = Arc::new(MemoryTaskStore::new());
    assert_each_status_is_counted_once(&*memory, &*memory, "in-memory", &snapshotter).await;
    let folder = tempfile::tempdir().unwrap();
    let sqlite =
        sutazai_store::open(&format!("sqlite://{}/counts.db", folder.path().display())).await.unwrap();
    assert_each_status_is_counted_once(&*sqlite.tasks, &*sqlite.tasks, "in-sqlite", &snapshotter).await;
    let server = Server::start(&["fsync=off"]);
    let url = server.database().await;
    let [one, other] = [sutazai_store::open(&url).await.unwrap(), sutazai_store::open(&url).await.unwrap()];
    assert_each_status_is_counted_once(&*one.tasks, &*other.tasks, "in-postgres", &snapshotter).await;
}
