//! Checks about holding a task: claim, renew and expire.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::Duration;
use futures::future::join_all;

use super::event_log::read_on;
use super::stage::{
    LEASE, all_of, at, claim, claimed, due, enqueue, events, history, nothing_is_due, read, record_outcomes,
    request, task, task_with,
};
use crate::domain::{
    Claim, ClaimKey, EventKind, EventOffset, InstanceId, Outcome, Task, TaskId, TaskStatus, UserId,
};
use crate::error::ErrorKind;
use crate::ports::{ClaimRequest, LeaseState, TaskStore};

/// The tasks of an owner are claimed in the order of their scheduling key ([`Task::scheduling_key`]), never before `run_at`,
/// never for other agents than requested, never while they wait for children.
pub async fn claims_come_in_order(store: Arc<dyn TaskStore>) {
    let of = |priority: u8, second: i64, agent: &str| Task {
        priority,
        run_at: at(second),
        agent: agent.into(),
        ..task()
    };
    // In the order in which they must be claimed at second 10; `task` generates ever greater ids. A priority level is
    // worth 600 s of waiting.
    let ordered = [
        of(0, -6_000, "echo"),
        of(9, 10, "echo"),
        of(8, -50, "echo"),
        of(8, 2, "upper"),
        of(8, 3, "echo"),
        of(8, 3, "echo"),
        of(8, 3, "echo"),
        of(3, -2_000, "upper"),
        of(2, -1_801, "echo"),
        of(5, 0, "echo"),
        of(4, -599, "upper"),
        of(0, 0, "echo"),
    ];
    let alike = [of(6, -590, "echo"), of(7, 10, "echo")];
    let later = of(9, 11, "echo");
    let foreign = of(9, 0, "other");
    let mut shuffled = [ordered.to_vec(), vec![later.clone(), foreign.clone()]].concat();
    shuffled.reverse();
    shuffled.swap(1, 6);
    for task in shuffled {
        enqueue(&*store, task).await;
    }
    let both = |limit, second| ClaimRequest {
        agents: vec!["upper".into(), "echo".into()],
        ..request(limit, second)
    };
    assert_eq!(store.next_due(&both(1, 0).agents).await.unwrap(), Some(at(-6_000)));
    assert_eq!(store.claim(&ClaimRequest { agents: Vec::new(), ..request(9, 10) }).await.unwrap(), []);
    let mut got = Vec::new();
    for limit in [1, 3, 8] {
        let claims = store.claim(&both(limit, 10)).await.unwrap();
        assert_eq!(claims.len(), limit as usize, "a claim takes as many as it may");
        got.extend(claims.into_iter().map(|claim| claim.task.id));
    }
    assert_eq!(got, ordered.map(|task| task.id));
    assert_eq!(
        store.claim(&both(9, 10)).await.unwrap(),
        [],
        "before its time or for an agent nobody asked for"
    );
    store.enqueue(vec![alike[1].clone(), alike[0].clone()]).await.unwrap();
    assert_eq!(due(&*store, 10).await, alike.map(|task| task.id), "of two alike the one that waits longer");
    let lease_end = at(10) + Duration::seconds(LEASE);
    assert_eq!(store.next_due(&both(1, 0).agents).await.unwrap(), Some(at(11)));
    assert_eq!(due(&*store, 11).await, [later.id]);
    let other = ["other".to_owned()];
    assert_eq!(store.next_due(&other).await.unwrap(), Some(at(0)));
    let request = ClaimRequest { agents: other.to_vec(), ..request(9, 12) };
    assert_eq!(store.claim(&request).await.unwrap()[0].task.id, foreign.id);
    assert_eq!(
        store.next_due(&both(1, 0).agents).await.unwrap(),
        Some(lease_end),
        "the next lease to run out"
    );
}

/// A task is claimed by one instance at a time, also under concurrency; the claim counts an attempt, sets the lease and
/// adds the event `processing`.
pub async fn task_is_claimed_by_one_worker(store: Arc<dyn TaskStore>) {
    const TASKS: usize = 300;
    let tasks: Vec<Task> = (0..TASKS).map(|_| task()).collect();
    let mut left: HashSet<TaskId> = tasks.iter().map(|task| task.id).collect();
    let workers = join_all((0..16).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mine = request(3, 1);
            let (mut claims, mut empty) = (Vec::new(), 0);
            // The tasks are enqueued while the workers are already claiming.
            while empty < 50 {
                let some = store.claim(&mine).await.unwrap();
                empty = if some.is_empty() { empty + 1 } else { 0 };
                assert!(some.len() <= 3, "more than was asked for");
                claims.extend(some);
                tokio::task::yield_now().await;
            }
            (mine.worker, claims)
        })
    }));
    let (_, workers) = tokio::join!(store.enqueue(tasks), workers);
    let mut claims: Vec<_> = workers.into_iter().map(|worker| worker.unwrap()).collect();
    let rest = request(1_000, 1);
    claims.push((rest.worker, store.claim(&rest).await.unwrap()));
    for (worker, claim) in
        claims.iter().flat_map(|(worker, claims)| claims.iter().map(move |claim| (worker, claim)))
    {
        let task = &claim.task;
        assert!(left.remove(&task.id), "claimed twice: {}", task.id);
        assert_eq!((task.status, task.attempt, task.failures), (TaskStatus::Processing, 1, 0));
        assert_eq!((task.worker, task.started_at), (Some(*worker), Some(at(1))));
        assert_eq!(task.lease_until, Some(at(1) + Duration::seconds(LEASE)));
        assert_eq!((claim.children.len(), claim.key().worker), (0, *worker));
        assert_eq!(read(&*store, task.id).await, *task);
        assert_eq!(history(&*store, task.id).await, [(TaskStatus::Pending, 0), (TaskStatus::Processing, 1)]);
    }
    assert!(left.is_empty(), "{} tasks were never claimed", left.len());
}

/// `renew` extends a held lease, reports a requested cancellation, and reports that a spent or foreign claim is lost.
pub async fn renew_prolongs_a_held_lease(store: Arc<dyn TaskStore>) {
    let held = claimed(&*store, task()).await;
    let asked = claimed(&*store, task()).await;
    let spent = claimed(&*store, task()).await;
    store.cancel(asked.task.id, at(1)).await.unwrap();
    record_outcomes(&*store, &spent, Outcome::Released, 1).await.unwrap();
    let again = claim(&*store, 1).await;
    assert_eq!(again.task.id, spent.task.id);

    let good = held.key();
    let foreign = ClaimKey { worker: InstanceId::new(), ..good };
    let future = ClaimKey { attempt: good.attempt + 1, ..good };
    let unknown = ClaimKey { task: TaskId::new(), ..good };
    let before = all_of(&*store, again.task.id).await;
    let keys = [spent.key(), good, foreign, asked.key(), future, unknown];
    use LeaseState::{CancelRequested, Held, Lost};
    let states = store.renew(&keys, at(100), at(20)).await.unwrap();
    assert_eq!(states, [Lost, Held, Lost, CancelRequested, Lost, Lost]);
    assert_eq!(all_of(&*store, again.task.id).await, before, "a lost claim changed something");
    for claim in [&held, &asked] {
        assert_eq!(read(&*store, claim.task.id).await.lease_until, Some(at(100)));
        assert_eq!(events(&*store, claim.task.id).await.len(), 2, "a heartbeat is no event");
    }
    assert_eq!(store.renew(&[], at(100), at(20)).await.unwrap(), []);

    assert_eq!(store.reap(at(99)).await.unwrap(), 1, "only the one whose lease was not prolonged");
    assert_eq!(store.renew(&[again.key(), good], at(200), at(99)).await.unwrap(), [Lost, Held]);
    assert_eq!(store.reap(at(150)).await.unwrap(), 1, "the one that was asked to stop");
    record_outcomes(&*store, &held, Outcome::Cancelled, 150).await.unwrap();
    assert_eq!(store.renew(&[good], at(300), at(150)).await.unwrap(), [Lost]);
}

/// `reap` makes tasks with expired leases pending and counts a failure; without an attempt left it ends them as
/// failed (kind `timeout`), with a requested cancellation as cancelled.
pub async fn expire_takes_back_what_ran_out(store: Arc<dyn TaskStore>) {
    let twice = claimed(&*store, task_with(|new| new.max_attempts = Some(2), None)).await;
    let stopped = claimed(&*store, task()).await;
    store.cancel(stopped.task.id, at(1)).await.unwrap();
    let id = twice.task.id;
    assert_eq!(store.reap(at(LEASE - 1)).await.unwrap(), 0, "no lease has run out yet");
    assert_eq!(store.reap(at(LEASE)).await.unwrap(), 2);
    assert_eq!(store.reap(at(LEASE)).await.unwrap(), 0, "taken back twice");

    let back = read(&*store, id).await;
    assert_eq!((back.status, back.failures, back.attempt), (TaskStatus::Pending, 1, 1));
    assert_eq!((back.worker, back.lease_until, back.finished_at), (None, None, None));
    assert_eq!(back.error.map(|error| error.kind), Some(ErrorKind::Timeout));
    let ended = read(&*store, stopped.task.id).await;
    assert_eq!((ended.status, ended.finished_at), (TaskStatus::Cancelled, Some(at(LEASE))));

    let late = record_outcomes(&*store, &twice, Outcome::Completed(1.into()), LEASE).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Conflict, "an outcome that came after the lease was taken back");
    let second = claim(&*store, LEASE).await;
    assert_eq!((second.task.id, second.task.attempt), (id, 2));
    assert_eq!(store.reap(at(LEASE * 2)).await.unwrap(), 1);
    let dead = read(&*store, id).await;
    assert_eq!((dead.status, dead.failures, dead.finished_at), (TaskStatus::Failed, 2, Some(at(LEASE * 2))));
    assert_eq!(dead.error.as_ref().map(|error| error.kind), Some(ErrorKind::Timeout));
    assert_eq!((dead.worker, dead.lease_until), (None, None));
    let last = events(&*store, id).await.pop().unwrap();
    let kind = EventKind::Status { status: TaskStatus::Failed, attempt: 2, error: dead.error };
    assert_eq!((last.kind, last.at), (kind, at(LEASE * 2)));
    assert_eq!(due(&*store, 1_000).await, []);
    nothing_is_due(&*store).await;
}

/// A task enqueued as claimed ([`Task::claim`], attempt 1) is held under that claim at once and has a second event:
/// `processing`.
pub async fn task_can_be_added_as_claimed(store: Arc<dyn TaskStore>) {
    let worker = InstanceId::new();
    let key = Some("once".to_owned());
    let mut held = Task { owner: Some(UserId::new()), idempotency_key: key.clone(), ..task() };
    held.claim(worker, at(LEASE + 1), at(1)).unwrap();
    let (mut beside, pending) = (task(), task());
    beside.claim(worker, at(LEASE + 1), at(1)).unwrap();
    let stored = store.enqueue(vec![held.clone(), pending.clone(), beside.clone()]).await.unwrap();
    assert_eq!(stored, [held.clone(), pending.clone(), beside.clone()]);
    assert_eq!(read(&*store, held.id).await, held);
    assert_eq!(read(&*store, beside.id).await, beside);
    let of_beside = Claim { task: beside, children: Vec::new() };
    record_outcomes(&*store, &of_beside, Outcome::Completed(serde_json::Value::Null), 1).await.unwrap();
    let told = events(&*store, held.id).await;
    let status = |status, attempt| EventKind::Status { status, attempt, error: None };
    assert_eq!(
        told.iter().map(|event| (event.sequence, event.at, event.kind.clone())).collect::<Vec<_>>(),
        [(1, held.created_at, status(TaskStatus::Pending, 0)), (2, at(1), status(TaskStatus::Processing, 1))]
    );
    let log = read_on(&*store, held.owner, EventOffset::default(), 10, 2).await;
    assert_eq!(log.into_iter().map(|told| told.event).collect::<Vec<_>>(), told);
    assert_eq!(due(&*store, 2).await, [pending.id], "it was claimed once more");

    // The idempotency key returns the first task, even to another worker that would claim it.
    let mut again = Task { owner: held.owner, idempotency_key: key, ..task() };
    again.claim(InstanceId::new(), at(LEASE + 2), at(2)).unwrap();
    assert_eq!(store.enqueue(vec![again]).await.unwrap(), [held.clone()]);

    let claim = ClaimKey { task: held.id, attempt: 1, worker };
    assert_eq!(store.renew(&[claim], at(2 * LEASE), at(3)).await.unwrap(), [LeaseState::Held]);
    assert_eq!(store.reap(at(2 * LEASE - 1)).await.unwrap(), 1, "the other one");
    assert_eq!(store.reap(at(2 * LEASE)).await.unwrap(), 1);
    let back = read(&*store, held.id).await;
    assert_eq!((back.status, back.failures, back.worker), (TaskStatus::Pending, 1, None));
}
