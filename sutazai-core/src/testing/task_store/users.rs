//! Checks about the actions of users: enqueue, cancel, retry and delete.

use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use super::stage::{
    all_of, at, claim, claimed, due, enqueue, error, events, history, read, record_outcomes, request, task,
    task_with,
};
use crate::domain::{EventKind, Outcome, OutcomeRecord, Task, TaskEvent, TaskId, TaskStatus, UserId};
use crate::error::ErrorKind;
use crate::ports::{LeaseState, TaskStore};

/// An enqueued task is pending, can be read back with all its fields, and has one event: `pending`, sequence 1.
pub async fn enqueued_task_is_pending(store: Arc<dyn TaskStore>) {
    let plain = task();
    let full = task_with(
        |new| {
            new.title = "Title with 'quotes' and \0 inside".into();
            new.description = "日本語\n\ttext".into();
            new.priority = Some(0);
            new.timeout_seconds = Some(86_400);
            new.max_attempts = Some(100);
            new.run_at = Some(at(-7_000_000));
            new.idempotency_key = Some("key; DROP TABLE tasks".into());
        },
        Some(UserId::new()),
    );
    for task in [plain, full] {
        let added = store.enqueue(vec![task.clone()]).await.unwrap();
        assert_eq!(added, std::slice::from_ref(&task));
        assert_eq!(read(&*store, task.id).await, task);
        let kind = EventKind::Status { status: TaskStatus::Pending, attempt: 0, error: None };
        let first = TaskEvent { task_id: task.id, sequence: 1, at: at(0), kind };
        assert_eq!(events(&*store, task.id).await, [first]);
    }
    assert_eq!(store.get(TaskId::new()).await.unwrap(), None);
    assert_eq!(store.enqueue(Vec::new()).await.unwrap(), []);
}

/// Enqueueing a known idempotency key of the same owner returns the first task and adds nothing; for another owner it
/// adds a task.
pub async fn idempotency_key_identifies_one_task(store: Arc<dyn TaskStore>) {
    let keyed = |owner| task_with(|new| new.idempotency_key = Some("once".into()), owner);
    let owners = [None, Some(UserId::new()), Some(UserId::new())];
    let mut firsts = Vec::new();
    for owner in owners {
        let first = keyed(owner);
        assert_eq!(store.enqueue(vec![first.clone()]).await.unwrap(), std::slice::from_ref(&first));
        let again = Task { payload: json!("other"), priority: 9, ..keyed(owner) };
        assert_eq!(store.enqueue(vec![again.clone()]).await.unwrap(), std::slice::from_ref(&first));
        assert_eq!(store.get(again.id).await.unwrap(), None, "the second task was added");
        assert_eq!(
            store.enqueue(vec![first.clone()]).await.unwrap(),
            std::slice::from_ref(&first),
            "sent again unchanged"
        );
        firsts.push(first.id);
    }
    let twin = |n: u32| {
        let mut task = task_with(|new| new.idempotency_key = Some("twin".into()), owners[1]);
        task.payload = json!(n);
        task
    };
    let batch = store.enqueue(vec![twin(1), task(), twin(2)]).await.unwrap();
    assert_eq!((batch[0].id, &batch[2].payload), (batch[2].id, &json!(1)), "a key twice in one batch");

    let racing = join_all((0..32).map(|_| {
        let (store, task) = (store.clone(), task_with(|new| new.idempotency_key = Some("race".into()), None));
        tokio::spawn(async move { store.enqueue(vec![task]).await.unwrap().remove(0).id })
    }))
    .await;
    let winner = *racing[0].as_ref().unwrap();
    assert!(racing.iter().all(|id| *id.as_ref().unwrap() == winner), "of enqueues at once one must win");

    let mut due = due(&*store, 0).await;
    let mut expected = [firsts, vec![batch[0].id, batch[1].id, winner]].concat();
    due.sort_unstable();
    expected.sort_unstable();
    assert_eq!(due, expected);
    // The key still identifies the task after it has ended.
    let ended = keyed(owners[2]);
    assert_eq!(store.enqueue(vec![ended]).await.unwrap()[0].status, TaskStatus::Processing);
}

/// Enqueueing a unique key while a task with it is pending or processing returns that task, for its owner and
/// agent and also concurrently; `retry` while another task has the key is `Conflict`.
pub async fn deduplication_key_admits_one_active_task(store: Arc<dyn TaskStore>) {
    let keyed = |owner| task_with(|new| new.unique_key = Some("one \0".into()), owner);
    let owner = Some(UserId::new());
    let first = keyed(owner);
    assert_eq!(store.enqueue(vec![first.clone()]).await.unwrap(), std::slice::from_ref(&first));
    assert_eq!(read(&*store, first.id).await, first, "the key must be kept");
    let others = [keyed(None), Task { agent: "upper".into(), ..keyed(owner) }, task_with(|_| {}, owner)];
    assert_eq!(store.enqueue(others.to_vec()).await.unwrap(), others, "another owner, another agent, no key");
    let again = Task { priority: 9, ..keyed(owner) };
    assert_eq!(store.enqueue(vec![again.clone(), task()]).await.unwrap()[0], first);
    assert_eq!(store.get(again.id).await.unwrap(), None, "a second task was added");
    assert_eq!(events(&*store, first.id).await.len(), 1);

    let held = store.claim(&request(10, 0)).await.unwrap();
    let held = held.into_iter().find(|claim| claim.task.id == first.id).unwrap();
    assert_eq!(store.enqueue(vec![keyed(owner)]).await.unwrap()[0].status, TaskStatus::Processing);
    let later = Outcome::Retry { at: at(1), error: error("later") };
    record_outcomes(&*store, &held, later, 1).await.unwrap();
    assert_eq!(store.enqueue(vec![keyed(owner)]).await.unwrap()[0].id, first.id, "it is pending again");
    let held = claim(&*store, 1).await;
    record_outcomes(&*store, &held, Outcome::Failed(error("for good")), 2).await.unwrap();
    let second = keyed(owner);
    let twins = store.enqueue(vec![second.clone(), keyed(owner)]).await.unwrap();
    assert_eq!(twins, [second.clone(), second.clone()], "the key is free, and taken by the first of a batch");

    let before = all_of(&*store, first.id).await;
    let refused = store.retry(first.id, at(3)).await.unwrap_err();
    assert_eq!((refused.kind(), refused.field()), (ErrorKind::Conflict, Some("unique_key")));
    assert_eq!(all_of(&*store, first.id).await, before);
    store.cancel(second.id, at(4)).await.unwrap();
    assert_eq!(store.retry(first.id, at(5)).await.unwrap().status, TaskStatus::Pending);
    assert_eq!(store.enqueue(vec![keyed(owner)]).await.unwrap()[0].id, first.id);

    let racing = join_all((0..32).map(|_| {
        let (store, task) = (store.clone(), task_with(|new| new.unique_key = Some("race".into()), None));
        tokio::spawn(async move { store.enqueue(vec![task]).await.unwrap().remove(0).id })
    }))
    .await;
    let winner = *racing[0].as_ref().unwrap();
    assert!(racing.iter().all(|id| *id.as_ref().unwrap() == winner), "of enqueues at once one must win");

    ended_in_the_same_batch(&*store, owner).await;
}

/// A task that ends in a batch of outcomes frees its key for tasks enqueued later in the batch, not earlier.
async fn ended_in_the_same_batch(store: &dyn TaskStore, owner: Option<UserId>) {
    let keyed = || Task { unique_key: Some("batch".into()), run_at: at(-100), ..task_with(|_| {}, owner) };
    let parent = || Task { run_at: at(-100), ..task_with(|_| {}, owner) };
    let added = store.enqueue(vec![keyed(), parent(), parent()]).await.unwrap();
    let claims = store.claim(&request(3, -50)).await.unwrap();
    let claim_of = |index: usize| claims.iter().find(|claim| claim.task.id == added[index].id).unwrap().key();
    let wait = || Outcome::wait_for_all(vec![keyed()], json!(1));
    let finished = [(1, wait()), (0, Outcome::Completed(json!(1))), (2, wait())];
    let finished = finished.map(|(index, outcome)| OutcomeRecord { claim: claim_of(index), outcome });
    let answers = store.record_outcomes(finished.to_vec(), at(-40)).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let waiting = [read(store, added[1].id).await.waiting_for, read(store, added[2].id).await.waiting_for];
    assert_eq!(waiting, [0, 1], "one waited for the task that ended, the other for a new one");
}

/// A batch is enqueued completely or not at all.
pub async fn batch_is_enqueued_atomically(store: Arc<dyn TaskStore>) {
    let batch: Vec<Task> = (0..250).map(|_| task()).collect();
    assert_eq!(store.enqueue(batch.clone()).await.unwrap(), batch, "the answer has the order of the batch");
    let before = all_of(&*store, batch[100].id).await;

    let taken = batch[100].clone();
    let fresh: Vec<Task> =
        (0..20).map(|_| task_with(|new| new.idempotency_key = Some("k".into()), None)).collect();
    let mut bad: Vec<Task> = (0..20).map(|_| task()).collect();
    bad.insert(3, fresh[0].clone());
    bad.insert(15, taken);
    store.enqueue(bad.clone()).await.expect_err("the id of one of them was taken");
    let twice = task();
    store.enqueue(vec![task(), twice.clone(), twice.clone()]).await.expect_err("one of them came twice");

    for task in bad.iter().filter(|task| task.id != batch[100].id).chain([&twice]) {
        assert_eq!(store.get(task.id).await.unwrap(), None, "a part of a refused batch was added");
        assert_eq!(store.events_after(task.id, 0, 10).await.unwrap(), []);
    }
    assert_eq!(all_of(&*store, batch[100].id).await, before);
    let keyed = fresh[1].clone();
    assert_eq!(store.enqueue(vec![keyed.clone()]).await.unwrap(), [keyed], "a refused batch left its key");
    assert_eq!(due(&*store, 0).await.len(), 251);
}

/// `cancel` ends a pending task and its children at once, marks a running one, and is `Conflict` for an ended one,
/// which stays unchanged.
pub async fn cancel_ends_or_marks(store: Arc<dyn TaskStore>) {
    let id = enqueue(&*store, task()).await;
    let cancelled = store.cancel(id, at(2)).await.unwrap();
    assert_eq!((cancelled.status, cancelled.finished_at), (TaskStatus::Cancelled, Some(at(2))));
    assert_eq!(read(&*store, id).await, cancelled);
    assert_eq!(history(&*store, id).await, [(TaskStatus::Pending, 0), (TaskStatus::Cancelled, 0)]);
    assert_eq!(due(&*store, 100).await, []);

    let running = claimed(&*store, task()).await;
    let (id, key) = (running.task.id, running.key());
    for _ in 0..2 {
        let marked = store.cancel(id, at(3)).await.unwrap();
        assert_eq!((marked.status, marked.cancel_requested), (TaskStatus::Processing, true));
    }
    assert_eq!(history(&*store, id).await, [(TaskStatus::Pending, 0), (TaskStatus::Processing, 1)]);
    assert_eq!(store.renew(&[key], at(50), at(4)).await.unwrap(), [LeaseState::CancelRequested]);
    record_outcomes(&*store, &running, Outcome::Cancelled, 5).await.unwrap();

    // The worker reports another outcome before it learns of the cancellation: a cancelled task must not start again.
    let retry = Outcome::Retry { at: at(6), error: error("not yet") };
    let wait = Outcome::wait_for_all(vec![task()], json!(1));
    for outcome in [Outcome::Released, retry, wait] {
        let running = claimed(&*store, task()).await;
        store.cancel(running.task.id, at(5)).await.unwrap();
        record_outcomes(&*store, &running, outcome, 6).await.unwrap();
        assert_eq!(read(&*store, running.task.id).await.status, TaskStatus::Cancelled);
        assert_eq!(due(&*store, 100).await, [], "a task or a child of it began after its cancellation");
    }

    let done = claimed(&*store, task()).await;
    store.cancel(done.task.id, at(5)).await.unwrap();
    record_outcomes(&*store, &done, Outcome::Completed(json!("just in time")), 6).await.unwrap();
    let failed = claimed(&*store, task()).await;
    record_outcomes(&*store, &failed, Outcome::Failed(error("no")), 6).await.unwrap();
    for id in [id, done.task.id, failed.task.id] {
        let before = all_of(&*store, id).await;
        assert!(!before.0.cancel_requested, "an ended task still waits for its cancellation");
        assert_eq!(store.cancel(id, at(9)).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(all_of(&*store, id).await, before);
    }
    assert_eq!(store.cancel(TaskId::new(), at(9)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `retry` makes a failed task pending with no failures counted; any other status is `Conflict`.
pub async fn retry_makes_a_failed_task_pending(store: Arc<dyn TaskStore>) {
    let first = claimed(&*store, task_with(|new| new.max_attempts = Some(1), None)).await;
    let id = first.task.id;
    record_outcomes(&*store, &first, Outcome::Failed(error("no")), 1).await.unwrap();
    let again = store.retry(id, at(7)).await.unwrap();
    assert_eq!((again.status, again.failures, again.attempt), (TaskStatus::Pending, 0, 1));
    assert_eq!((again.run_at, again.finished_at, again.worker), (at(7), None, None));
    assert_eq!(read(&*store, id).await, again);
    assert_eq!(due(&*store, 6).await, []);
    assert_eq!(store.retry(id, at(8)).await.unwrap_err().kind(), ErrorKind::Conflict, "pending");

    let second = claim(&*store, 7).await;
    assert_eq!((second.task.id, second.task.attempt), (id, 2), "the attempt goes on: it is the fence");
    assert_eq!(store.retry(id, at(8)).await.unwrap_err().kind(), ErrorKind::Conflict, "processing");
    assert_eq!(
        record_outcomes(&*store, &first, Outcome::Released, 8).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    record_outcomes(&*store, &second, Outcome::Completed(json!(2)), 9).await.unwrap();
    let done = all_of(&*store, id).await;
    assert_eq!((done.0.error.as_ref(), done.0.finished_at), (None, Some(at(9))));
    assert_eq!(store.retry(id, at(8)).await.unwrap_err().kind(), ErrorKind::Conflict, "completed");
    assert_eq!(all_of(&*store, id).await, done);
    use TaskStatus::{Completed, Failed, Pending, Processing};
    let whole = [(Pending, 0), (Processing, 1), (Failed, 1), (Pending, 1), (Processing, 2), (Completed, 2)];
    assert_eq!(history(&*store, id).await, whole);

    let cancelled = enqueue(&*store, task()).await;
    store.cancel(cancelled, at(1)).await.unwrap();
    assert_eq!(store.retry(cancelled, at(8)).await.unwrap_err().kind(), ErrorKind::Conflict, "cancelled");
    assert_eq!(store.retry(TaskId::new(), at(8)).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// `delete` removes an ended task with its events, and its children lose their parent; an unfinished one is `Conflict`,
/// an unknown one `NotFound`.
pub async fn delete_removes_an_ended_task(store: Arc<dyn TaskStore>) {
    let keyed = || task_with(|new| new.idempotency_key = Some("again".into()), None);
    let other = enqueue(&*store, Task { run_at: at(500), ..task() }).await;
    let id = enqueue(&*store, keyed()).await;
    assert_eq!(store.delete(id).await.unwrap_err().kind(), ErrorKind::Conflict, "pending");
    let running = claim(&*store, 0).await;
    assert_eq!(running.task.id, id);
    assert_eq!(store.delete(id).await.unwrap_err().kind(), ErrorKind::Conflict, "processing");
    record_outcomes(&*store, &running, Outcome::Completed(json!(1)), 1).await.unwrap();
    store.delete(id).await.unwrap();

    assert_eq!(store.get(id).await.unwrap(), None);
    assert_eq!(store.events_after(id, 0, 10).await.unwrap(), []);
    for kind in [
        store.delete(id).await.unwrap_err().kind(),
        store.cancel(id, at(2)).await.unwrap_err().kind(),
        store.retry(id, at(2)).await.unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::NotFound);
    }
    assert_eq!(
        record_outcomes(&*store, &running, Outcome::Released, 2).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let anew = keyed();
    assert_eq!(
        store.enqueue(vec![anew.clone()]).await.unwrap()[0].id,
        anew.id,
        "the key of a deleted task is free"
    );
    assert_eq!(due(&*store, 2).await, [anew.id]);
    assert_eq!(events(&*store, other).await.len(), 1);

    let failed = claimed(&*store, task()).await;
    record_outcomes(&*store, &failed, Outcome::Failed(error("no")), 3).await.unwrap();
    let stopped = enqueue(&*store, task()).await;
    store.cancel(stopped, at(3)).await.unwrap();
    for id in [failed.task.id, stopped] {
        store.delete(id).await.unwrap();
        assert_eq!(store.get(id).await.unwrap(), None);
    }

    let parent = claimed(&*store, task()).await;
    let child = task();
    let wait = Outcome::wait_for_all(vec![child.clone()], json!(1));
    record_outcomes(&*store, &parent, wait, 4).await.unwrap();
    assert_eq!(read(&*store, child.id).await.parent, Some(parent.task.id));
    store.cancel(parent.task.id, at(4)).await.unwrap();
    store.delete(parent.task.id).await.unwrap();
    assert_eq!(read(&*store, child.id).await.parent, None);
}
