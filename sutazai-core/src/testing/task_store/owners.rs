//! Checks about everything that one owner has: its quota and its removal.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use super::stage::{at, claim, due, enqueue, read, record_outcomes, task, task_with};
use crate::domain::{EventOffset, InstanceId, Outcome, PageRequest, Task, TaskQuery, UserId};
use crate::error::ErrorKind;
use crate::ports::{LeaseState, TaskStore};

/// With `max_pending`, a task that gives its owner more pending tasks than that, not counting those that wait for
/// children, is `RateLimited` with its whole batch, also under concurrency; known keys and tasks without an owner are
/// exempt.
pub async fn pending_tasks_of_an_owner_are_limited(store: Arc<dyn TaskStore>) {
    let (ada, eve) = (Some(UserId::new()), Some(UserId::new()));
    let keyed = task_with(|new| new.idempotency_key = Some("once".into()), ada);
    store.enqueue_within(vec![keyed.clone()], Some(20)).await.unwrap();
    let calls = (0..40).map(|n| {
        let (store, owner) = (store.clone(), if n % 4 == 0 { eve } else { ada });
        let mut task = task_with(|_| {}, owner);
        // Tasks with a deduplication key are inserted by another statement.
        task.unique_key = (n % 5 == 0).then(|| format!("unique {n}"));
        tokio::spawn(async move { (owner, store.enqueue_within(vec![task], Some(20)).await) })
    });
    let outcomes: Vec<_> = join_all(calls).await.into_iter().map(|outcome| outcome.unwrap()).collect();
    let added = |of| outcomes.iter().filter(|(owner, outcome)| *owner == of && outcome.is_ok()).count();
    assert_eq!((added(ada), added(eve)), (19, 10));
    for e in outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().err()) {
        assert_eq!(e.kind(), ErrorKind::RateLimited, "{e}");
        assert!(e.retry_after().is_some() && e.message().contains("20 tasks"), "{e}");
    }
    // A batch with one rejected task is rejected completely.
    let batch = vec![task_with(|_| {}, eve), task_with(|_| {}, ada)];
    let ids: Vec<_> = batch.iter().map(|task| task.id).collect();
    assert_eq!(store.enqueue_within(batch, Some(20)).await.unwrap_err().kind(), ErrorKind::RateLimited);
    for id in ids {
        assert_eq!(store.get(id).await.unwrap(), None);
    }
    let again = Task { id: task().id, ..keyed.clone() };
    assert_eq!(store.enqueue_within(vec![again], Some(20)).await.unwrap()[0].id, keyed.id);
    let nobodys = (0..30).map(|_| task()).collect();
    store.enqueue_within(nobodys, Some(20)).await.unwrap();
    // A running task does not count as waiting.
    let mut held = task_with(|_| {}, ada);
    held.claim(InstanceId::new(), at(30), at(0)).unwrap();
    store.enqueue_within(vec![held], Some(20)).await.unwrap();
    assert_eq!(due(&*store, 1).await.len(), 60);
    store.enqueue_within(vec![task_with(|_| {}, ada)], Some(20)).await.unwrap();
}

/// `delete_all` removes all tasks of one owner in any status with their events and messages and returns their number;
/// their claims are lost.
pub async fn delete_all_removes_what_is_one_owners(store: Arc<dyn TaskStore>) {
    let (ada, eve) = (Some(UserId::new()), Some(UserId::new()));
    let of = |owner| task_with(|new| new.idempotency_key = Some("once".into()), owner);
    let parent = {
        let id = enqueue(&*store, of(ada)).await;
        let held = claim(&*store, 0).await;
        assert_eq!(held.task.id, id);
        held
    };
    let child = Task { owner: ada, ..task() };
    let children = vec![child.clone()];
    record_outcomes(&*store, &parent, Outcome::wait_for_all(children, json!({})), 1).await.unwrap();
    let running = claim(&*store, 2).await;
    assert_eq!(running.task.id, child.id);
    let many: Vec<Task> = (0..300).map(|_| task_with(|_| {}, ada)).collect();
    let later = Task { run_at: at(500), unique_key: Some("u".into()), ..task_with(|_| {}, ada) };
    store.enqueue(many).await.unwrap();
    store.enqueue(vec![later.clone()]).await.unwrap();
    let ended = claim(&*store, 3).await;
    record_outcomes(&*store, &ended, Outcome::Completed(json!(1)), 4).await.unwrap();
    let theirs = enqueue(&*store, of(eve)).await;
    let nobodys = enqueue(&*store, task()).await;
    let before = read(&*store, theirs).await;

    assert_eq!(store.delete_all(ada.unwrap()).await.unwrap(), 303);
    let query = TaskQuery { owner: ada, ..TaskQuery::default() };
    assert_eq!(store.list(&query).await.unwrap().items, []);
    for id in [parent.task.id, child.id, ended.task.id, later.id] {
        assert_eq!(store.get(id).await.unwrap(), None);
        assert_eq!(store.events_after(id, 0, 100).await.unwrap(), []);
        assert_eq!(store.agent_messages(id, PageRequest::default()).await.unwrap().items, []);
    }
    assert_eq!(store.event_log_after(ada, EventOffset::default(), 1_000).await.unwrap().items, []);
    let lost = record_outcomes(&*store, &running, Outcome::Completed(json!(2)), 5).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Conflict);
    assert_eq!(store.renew(&[running.key()], at(99), at(6)).await.unwrap(), [LeaseState::Lost]);
    assert_eq!(store.reap(at(1_000)).await.unwrap(), 0, "a lease of what is gone");

    assert_eq!(read(&*store, theirs).await, before);
    let mut left = due(&*store, 1_000).await;
    left.sort();
    let mut expected = [theirs, nobodys];
    expected.sort();
    assert_eq!(left, expected, "and the queue has nothing else");
    // The keys of deleted tasks are free again.
    let again = of(ada);
    assert_eq!(store.enqueue(vec![again.clone()]).await.unwrap()[0].id, again.id);
    let unique = Task { id: task().id, ..later };
    assert_eq!(store.enqueue(vec![unique.clone()]).await.unwrap()[0].id, unique.id);
    assert_eq!(store.delete_all(ada.unwrap()).await.unwrap(), 2);
    assert_eq!(store.delete_all(ada.unwrap()).await.unwrap(), 0);
}
