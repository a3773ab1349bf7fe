//! Checks about retention of ended tasks.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::event_log::read_on;
use super::stage::{all_of, at, claim, claimed, enqueue, error, read, record_outcomes, task, task_with};
use crate::domain::{EventOffset, Outcome, Pruned, RetentionBatch, TaskId, TaskStatus};
use crate::ports::TaskStore;

/// Creates a batch that scans all tasks.
fn batch(ended_before: Option<i64>, failed_before: Option<i64>) -> RetentionBatch {
    RetentionBatch {
        after: TaskId(Uuid::nil()),
        before: TaskId(Uuid::max()),
        ended_before: ended_before.map(at),
        failed_before: failed_before.map(at),
        limit: 1_000,
    }
}

/// `prune` removes tasks that ended before the given times, with their events, page by page in the order of their keys,
/// except those that an unfinished task waits for; `event_log_begin` then is the position of the last removed event.
pub async fn prune_removes_what_ended_long_ago(store: Arc<dyn TaskStore>) {
    assert_eq!(store.event_log_begin().await.unwrap(), EventOffset(0));
    let done = |second| Outcome::Completed(json!(second));
    let mut ended = Vec::new();
    for second in [10, 20, 30] {
        let held = claimed(&*store, task()).await;
        record_outcomes(&*store, &held, done(second), second).await.unwrap();
        ended.push(held.task.id);
    }
    let dead = claimed(&*store, task()).await;
    record_outcomes(&*store, &dead, Outcome::Failed(error("no")), 5).await.unwrap();
    let cancelled = enqueue(&*store, task_with(|new| new.idempotency_key = Some("k".into()), None)).await;
    store.cancel(cancelled, at(6)).await.unwrap();
    let pending = enqueue(&*store, crate::domain::Task { run_at: at(1_000), ..task() }).await;
    let kept = all_of(&*store, pending).await;

    assert_eq!(store.prune(&batch(None, None)).await.unwrap().removed, 0);
    assert_eq!(store.prune(&batch(Some(6), None)).await.unwrap(), Pruned::default(), "nothing is so old");
    assert_eq!(store.event_log_begin().await.unwrap(), EventOffset(0));
    // Limited by the key range, and page by page.
    let none = RetentionBatch { before: ended[0], ..batch(Some(25), None) };
    assert_eq!(store.prune(&none).await.unwrap().removed, 0);
    let mut page = RetentionBatch { limit: 2, ..batch(Some(25), None) };
    let first = store.prune(&page).await.unwrap();
    assert_eq!(first, Pruned { removed: 2, next: Some(ended[1]) });
    page.after = ended[1];
    let second = store.prune(&page).await.unwrap();
    assert_eq!(second, Pruned { removed: 0, next: Some(dead.task.id) });
    page.after = dead.task.id;
    assert_eq!(store.prune(&page).await.unwrap().removed, 1, "the cancelled one");
    for gone in [ended[0], ended[1], cancelled] {
        assert_eq!(store.get(gone).await.unwrap(), None);
        assert_eq!(store.events_after(gone, 0, 10).await.unwrap(), []);
    }
    assert_eq!(read(&*store, ended[2]).await.status, TaskStatus::Completed);
    assert_eq!(read(&*store, dead.task.id).await.status, TaskStatus::Failed);
    assert_eq!(all_of(&*store, pending).await, kept);
    let begin = store.event_log_begin().await.unwrap();
    let left = read_on(&*store, None, EventOffset(0), 100, 7).await;
    assert!(begin > EventOffset(0));
    assert!(left.iter().any(|entry| entry.position < begin), "older events of others stay");
    assert_eq!(store.prune(&batch(None, Some(6))).await.unwrap().removed, 1);
    assert_eq!(store.get(dead.task.id).await.unwrap(), None, "the dead letter has a time of its own");

    // A task that another one still waits for is not removed.
    store.cancel(pending, at(7)).await.unwrap();
    let parent = claimed(&*store, task()).await;
    let children = vec![task(), task()];
    let wait = Outcome::wait_for_all(children.clone(), json!(1));
    record_outcomes(&*store, &parent, wait, 40).await.unwrap();
    let child = claim(&*store, 40).await;
    record_outcomes(&*store, &child, done(1), 41).await.unwrap();
    assert_eq!(store.prune(&batch(Some(100), Some(100))).await.unwrap().removed, 2, "not the child");
    let other = claim(&*store, 42).await;
    record_outcomes(&*store, &other, done(2), 42).await.unwrap();
    assert_eq!(
        store.prune(&batch(Some(100), Some(100))).await.unwrap().removed,
        0,
        "it has not seen them yet"
    );
    let parent = claim(&*store, 43).await;
    assert_eq!(parent.children.len(), 2);
    assert_eq!(store.prune(&batch(Some(100), Some(100))).await.unwrap().removed, 0, "it may see them again");
    record_outcomes(&*store, &parent, done(3), 44).await.unwrap();
    assert_eq!(store.prune(&batch(Some(100), Some(100))).await.unwrap().removed, 3);
    assert_eq!(store.event_log_after(None, EventOffset(0), 100).await.unwrap().items, []);
    // The idempotency key of a removed task is free again.
    let again = task_with(|new| new.idempotency_key = Some("k".into()), None);
    assert_eq!(store.enqueue(vec![again.clone()]).await.unwrap(), [again]);
}
