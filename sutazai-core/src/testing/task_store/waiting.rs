//! Check about parents and children.

use std::sync::Arc;

use serde_json::json;

use super::stage::{
    LEASE, at, claim, claimed, due, enqueue, error, history, nothing_is_due, read, record_outcomes, task,
    task_with,
};
use crate::domain::{Claim, Outcome, Task, TaskId, TaskStatus, Wait, WaitUntil};
use crate::ports::TaskStore;

/// `Wait` enqueues the children and keeps the parent from being claimed until the last child has ended; then its claim
/// has the state and the children in order. Ending the parent cancels its unfinished children.
pub async fn wait_holds_the_parent_until_the_last_child_has_ended(store: Arc<dyn TaskStore>) {
    children_end_in_every_way(&*store).await;
    existing_keys_become_children(&*store).await;
    ending_the_parent_cancels_its_children(&*store).await;
}

async fn children_end_in_every_way(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let parent = held.task.id;
    // Claimed in another order than submitted: the order of submission counts.
    let children: Vec<Task> = [3, 9, 5, 7].map(|priority| Task { priority, ..task() }).to_vec();
    let ids: Vec<TaskId> = children.iter().map(|child| child.id).collect();
    record_outcomes(store, &held, wait(children, 1), 1).await.unwrap();
    let waiting = read(store, parent).await;
    assert_eq!((waiting.status, waiting.waiting_for, waiting.failures), (TaskStatus::Pending, 4, 0));
    assert_eq!(
        (waiting.state, waiting.worker, waiting.lease_until),
        (Some(json!({ "round": 1 })), None, None)
    );
    for id in &ids {
        assert_eq!(read(store, *id).await.parent, Some(parent));
        assert_eq!(history(store, *id).await, [(TaskStatus::Pending, 0)]);
    }

    let done = claim(store, 1).await;
    record_outcomes(store, &done, Outcome::Completed(json!("done")), 2).await.unwrap();
    let failed = claim(store, 2).await;
    record_outcomes(store, &failed, Outcome::Retry { at: at(3), error: error("once") }, 2).await.unwrap();
    assert_eq!(read(store, parent).await.waiting_for, 3, "a child that is tried again has not ended");
    let failed = claim(store, 3).await;
    record_outcomes(store, &failed, Outcome::Failed(error("no")), 3).await.unwrap();
    store.cancel(ids[2], at(3)).await.unwrap();
    assert_eq!(read(store, parent).await.waiting_for, 1);
    let lost = claim(store, 3).await;
    assert_eq!(due(store, 20).await, [], "the parent was claimed before its last child had ended");
    store.cancel(lost.task.id, at(4)).await.unwrap();
    assert_eq!(read(store, parent).await.waiting_for, 1, "a child that was asked to stop has not ended");
    assert_eq!(store.reap(at(3 + LEASE)).await.unwrap(), 1);

    let again = claim(store, 3 + LEASE).await;
    assert_eq!((again.task.id, again.task.attempt, again.task.waiting_for), (parent, 2, 0));
    assert_eq!(again.task.state, Some(json!({ "round": 1 })));
    assert_eq!(children_of(&again), ids, "the children in the order in which they were asked for");
    use TaskStatus::{Cancelled, Completed, Failed};
    let ends: Vec<TaskStatus> = again.children.iter().map(|child| child.status).collect();
    assert_eq!(ends, [Cancelled, Completed, Cancelled, Failed]);
    assert_eq!(again.children[1].result, Some(json!("done")));

    // The children are in the next claim as well after the run was released, until the parent waits again.
    record_outcomes(store, &again, Outcome::Released, 40).await.unwrap();
    let again = claim(store, 40).await;
    assert_eq!(children_of(&again), ids);
    let second = task();
    record_outcomes(store, &again, wait(vec![second.clone()], 2), 41).await.unwrap();
    let child = claim(store, 41).await;
    assert_eq!(child.task.id, second.id);
    record_outcomes(store, &child, Outcome::Completed(json!(2)), 42).await.unwrap();
    let last = claim(store, 42).await;
    assert_eq!((last.task.id, last.task.state.clone()), (parent, Some(json!({ "round": 2 }))));
    assert_eq!(children_of(&last), [second.id]);
    record_outcomes(store, &last, Outcome::Completed(json!("sum")), 43).await.unwrap();
    assert_eq!(read(store, parent).await.status, Completed);
    assert_eq!(due(store, 1_000).await, []);
}

/// A child with a known idempotency key is that earlier task: waited for if it has not ended, and without a parent.
async fn existing_keys_become_children(store: &dyn TaskStore) {
    let keyed = |key: &str| task_with(|new| new.idempotency_key = Some(key.into()), None);
    let ended = claimed(store, keyed("ended")).await;
    record_outcomes(store, &ended, Outcome::Completed(json!("early")), 1).await.unwrap();
    let held = claimed(store, task()).await;
    record_outcomes(store, &held, wait(vec![keyed("ended"), keyed("ended")], 1), 1).await.unwrap();
    let again = claim(store, 1).await;
    assert_eq!(again.task.id, held.task.id, "all children had already ended: the parent is due");
    assert_eq!(children_of(&again), [ended.task.id, ended.task.id]);
    assert_eq!(again.children[0].result, Some(json!("early")));

    let open = enqueue(store, Task { run_at: at(5), ..keyed("open") }).await;
    record_outcomes(store, &again, wait(vec![keyed("open"), keyed("ended"), keyed("open")], 2), 2)
        .await
        .unwrap();
    assert_eq!(read(store, held.task.id).await.waiting_for, 1, "one task, asked for twice");
    assert_eq!(due(store, 4).await, []);
    // Two parents may wait for the same task.
    let other = claimed(store, task()).await;
    record_outcomes(store, &other, wait(vec![keyed("open")], 1), 4).await.unwrap();
    let child = claim(store, 5).await;
    assert_eq!((child.task.id, child.task.parent), (open, None));
    record_outcomes(store, &child, Outcome::Completed(json!(1)), 5).await.unwrap();
    let mut both = [claim(store, 5).await, claim(store, 5).await];
    both.sort_by_key(|claim| claim.task.id);
    assert_eq!(both.clone().map(|claim| claim.task.id), [held.task.id, other.task.id]);
    assert_eq!(children_of(&both[0]), [open, ended.task.id, open]);

    // A task submitted by another caller is not cancelled with a parent that also waits for it.
    let shared = enqueue(store, Task { run_at: at(500), ..keyed("shared") }).await;
    record_outcomes(store, &both[0], wait(vec![keyed("shared")], 3), 6).await.unwrap();
    store.cancel(held.task.id, at(6)).await.unwrap();
    assert_eq!(read(store, shared).await.status, TaskStatus::Pending);
    store.cancel(shared, at(6)).await.unwrap();
    record_outcomes(store, &both[1], Outcome::Completed(json!(1)), 6).await.unwrap();
    assert_eq!(due(store, 1_000).await, []);
}

async fn ending_the_parent_cancels_its_children(store: &dyn TaskStore) {
    let top = claimed(store, task()).await;
    let (running, middle, pending) =
        (Task { priority: 9, ..task() }, Task { priority: 8, ..task() }, Task { run_at: at(900), ..task() });
    let ids = [running.id, middle.id, pending.id];
    record_outcomes(store, &top, wait(vec![running, middle, pending], 1), 1).await.unwrap();
    let running = claim(store, 1).await;
    let middle = claim(store, 1).await;
    assert_eq!([running.task.id, middle.task.id], ids[..2]);
    let leaf = Task { run_at: at(900), ..task() };
    record_outcomes(store, &middle, wait(vec![leaf.clone()], 1), 1).await.unwrap();

    let cancelled = store.cancel(top.task.id, at(2)).await.unwrap();
    assert_eq!((cancelled.status, cancelled.waiting_for), (TaskStatus::Cancelled, 0));
    for id in [ids[1], ids[2], leaf.id] {
        let child = read(store, id).await;
        assert_eq!((child.status, child.finished_at), (TaskStatus::Cancelled, Some(at(2))), "{id}");
        assert_eq!(history(store, id).await.last().map(|last| last.0), Some(TaskStatus::Cancelled));
    }
    let marked = read(store, ids[0]).await;
    assert_eq!((marked.status, marked.cancel_requested), (TaskStatus::Processing, true));
    record_outcomes(store, &running, Outcome::Completed(json!("late")), 3).await.unwrap();
    assert_eq!(read(store, ids[0]).await.status, TaskStatus::Completed);
    assert_eq!(read(store, top.task.id).await, cancelled, "a child that ended late changed its ended parent");
    assert_eq!(due(store, 1_000).await, []);
    nothing_is_due(store).await;

    store.delete(top.task.id).await.unwrap();
    assert!(store.get(leaf.id).await.unwrap().is_some(), "deleting a parent leaves what has run for it");
    // A child deleted after its end is missing from the claim, and blocks nothing.
    let held = claimed(store, task()).await;
    let (one, two) = (Task { priority: 9, ..task() }, task());
    record_outcomes(store, &held, wait(vec![one.clone(), two.clone()], 1), 1).await.unwrap();
    for id in [one.id, two.id] {
        let child = claim(store, 1).await;
        assert_eq!(child.task.id, id);
        record_outcomes(store, &child, Outcome::Completed(json!(1)), 1).await.unwrap();
        if id == one.id {
            store.delete(id).await.unwrap();
        }
    }
    let again = claim(store, 1).await;
    assert_eq!((again.task.id, children_of(&again)), (held.task.id, vec![two.id]));
    record_outcomes(store, &again, Outcome::Completed(json!(1)), 2).await.unwrap();
}

/// `Wait` until any child has ended makes the parent due once per claim, however many children end before it, and
/// continues to wait for the unfinished ones.
pub async fn wait_for_any_makes_the_parent_due_once(store: Arc<dyn TaskStore>) {
    several_ends_are_one_wake_up(&*store).await;
    end_during_a_run_makes_the_next_wait_due_at_once(&*store).await;
    unfinished_children_are_cancelled_with_the_parent(&*store).await;
}

async fn several_ends_are_one_wake_up(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let parent = held.task.id;
    let children: Vec<Task> = [9, 8, 7, 6].map(|priority| Task { priority, ..task() }).to_vec();
    let ids: Vec<TaskId> = children.iter().map(|child| child.id).collect();
    record_outcomes(store, &held, wait_any(vec![], children, 1), 1).await.unwrap();
    assert_eq!(read(store, parent).await.waiting_for, 1);
    let running = [claim(store, 1).await, claim(store, 1).await, claim(store, 1).await];
    assert_eq!(running.each_ref().map(|claim| claim.task.id), ids[..3]);
    // Two children end before the parent is claimed.
    for child in &running[..2] {
        record_outcomes(store, child, Outcome::Completed(json!("done")), 2).await.unwrap();
    }
    // The fourth child has priority 6 and the parent 5, so the child is claimed first.
    let last = claim(store, 2).await;
    assert_eq!(last.task.id, ids[3]);
    let again = claim(store, 2).await;
    assert_eq!((again.task.id, children_of(&again)), (parent, ids.clone()));
    use TaskStatus::{Completed, Processing};
    let statuses: Vec<TaskStatus> = again.children.iter().map(|child| child.status).collect();
    assert_eq!(statuses, [Completed, Completed, Processing, Processing]);
    assert_eq!(due(store, 2).await, [], "two ends made the parent due twice");

    // It continues to wait for both, together with a new child, until all have ended.
    let new = Task { run_at: at(5), ..task() };
    let all = Outcome::Wait(Wait {
        unfinished: ids[2..].to_vec(),
        children: vec![new.clone()],
        until: WaitUntil::All,
        state: json!({ "round": 2 }),
    });
    record_outcomes(store, &again, all, 3).await.unwrap();
    assert_eq!(read(store, parent).await.waiting_for, 3);
    record_outcomes(store, &running[2], Outcome::Failed(error("no")), 4).await.unwrap();
    record_outcomes(store, &last, Outcome::Completed(json!("late")), 4).await.unwrap();
    assert_eq!(due(store, 4).await, []);
    let child = claim(store, 5).await;
    assert_eq!(child.task.id, new.id);
    record_outcomes(store, &child, Outcome::Completed(json!("last")), 6).await.unwrap();
    let last = claim(store, 6).await;
    assert_eq!((last.task.id, children_of(&last)), (parent, vec![ids[2], ids[3], new.id]));
    record_outcomes(store, &last, Outcome::Completed(json!("sum")), 7).await.unwrap();
    nothing_is_due(store).await;
}

async fn end_during_a_run_makes_the_next_wait_due_at_once(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let parent = held.task.id;
    let children: Vec<Task> = [9, 8, 7].map(|priority| Task { priority, ..task() }).to_vec();
    let ids: Vec<TaskId> = children.iter().map(|child| child.id).collect();
    record_outcomes(store, &held, wait_any(vec![], children, 1), 1).await.unwrap();
    let [first, second, third] = [claim(store, 1).await, claim(store, 1).await, claim(store, 1).await];
    record_outcomes(store, &first, Outcome::Completed(json!(1)), 2).await.unwrap();
    let again = claim(store, 2).await;
    assert_eq!(again.task.id, parent);
    // The run began with two unfinished children, and does not learn that one of them ends now and is deleted.
    record_outcomes(store, &second, Outcome::Completed(json!(2)), 3).await.unwrap();
    store.delete(second.task.id).await.unwrap();
    record_outcomes(store, &again, wait_any(ids[1..].to_vec(), vec![], 2), 3).await.unwrap();
    let again = claim(store, 3).await;
    assert_eq!((again.task.id, children_of(&again)), (parent, vec![ids[2]]));
    // A run that is lost with its worker leaves the wait as it was, and its successor sees all children.
    record_outcomes(store, &third, Outcome::Completed(json!(3)), 4).await.unwrap();
    assert_eq!(store.reap(at(3 + LEASE)).await.unwrap(), 1);
    let successor = claim(store, 3 + LEASE).await;
    assert_eq!((successor.task.id, successor.task.failures), (parent, 1));
    assert_eq!(successor.children[0].status, TaskStatus::Completed);
    // Every child has ended, so there is nothing to wait for.
    let late = 4 + LEASE;
    record_outcomes(store, &successor, wait_any(vec![ids[2]], vec![], 3), late).await.unwrap();
    let last = claim(store, late).await;
    assert_eq!((last.task.id, last.task.state.clone()), (parent, Some(json!({ "round": 3 }))));
    record_outcomes(store, &last, Outcome::Completed(json!("sum")), late).await.unwrap();
    nothing_is_due(store).await;
}

async fn unfinished_children_are_cancelled_with_the_parent(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let (first, second) = (Task { priority: 9, ..task() }, Task { run_at: at(900), ..task() });
    let wait = wait_any(vec![], vec![first.clone(), second.clone()], 1);
    record_outcomes(store, &held, wait, 1).await.unwrap();
    let child = claim(store, 1).await;
    assert_eq!(child.task.id, first.id);
    record_outcomes(store, &child, Outcome::Completed(json!(1)), 2).await.unwrap();
    let again = claim(store, 2).await;
    record_outcomes(store, &again, Outcome::Completed(json!("enough")), 3).await.unwrap();
    assert_eq!(read(store, second.id).await.status, TaskStatus::Cancelled);
    nothing_is_due(store).await;
}

fn wait_any(unfinished: Vec<TaskId>, children: Vec<Task>, round: u32) -> Outcome {
    Outcome::Wait(Wait { unfinished, children, until: WaitUntil::Any, state: json!({ "round": round }) })
}

fn wait(children: Vec<Task>, round: u32) -> Outcome {
    Outcome::wait_for_all(children, json!({ "round": round }))
}

fn children_of(claim: &Claim) -> Vec<TaskId> {
    claim.children.iter().map(|child| child.id).collect()
}
