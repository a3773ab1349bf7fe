//! Shared helpers of the suite: times, tasks, claims, and the history of a task.

use chrono::{DateTime, Duration, TimeZone, Utc};
use serde_json::json;

use crate::domain::{
    Claim, ConcurrencyLimits, EventKind, InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskError,
    TaskEvent, TaskId, TaskStatus, UserId,
};
use crate::error::{ErrorKind, Result};
use crate::ports::{ClaimRequest, TaskStore};

/// Duration of the suite's leases in seconds.
pub(super) const LEASE: i64 = 30;

/// Returns a time in 2026 with a fraction in microseconds, which a store must keep.
pub(super) fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + second, 0).unwrap() + Duration::microseconds(123_456)
}

/// Creates a task for the agent `echo`, without an owner and due at `at(0)`.
pub(super) fn task() -> Task {
    task_with(|_| {}, None)
}

/// Creates a task for the agent `echo` with some fields changed.
pub(super) fn task_with(change: impl FnOnce(&mut NewTask), owner: Option<UserId>) -> Task {
    let mut new =
        NewTask::new("echo", json!({ "say": "grüezi 🦀", "deep": { "list": [1, 2.5, null, true] } }));
    change(&mut new);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 order-17".parse().ok();
    Task { trace, ..Task::pending(new, owner, None, at(0)) }
}

/// Enqueues a task and returns its id.
pub(super) async fn enqueue(store: &dyn TaskStore, task: Task) -> TaskId {
    let added = store.enqueue(vec![task]).await.unwrap();
    assert_eq!(added.len(), 1);
    added[0].id
}

/// Creates a request of a new worker for tasks of `echo`.
pub(super) fn request(limit: u32, second: i64) -> ClaimRequest {
    ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["echo".into()],
        limit,
        lease: std::time::Duration::from_secs(LEASE as u64),
        now: at(second),
        limits: ConcurrencyLimits::default(),
        after: None,
    }
}

/// Claims the one task that must be due.
pub(super) async fn claim(store: &dyn TaskStore, second: i64) -> Claim {
    let mut claims = store.claim(&request(1, second)).await.unwrap();
    claims.pop().expect("no task was due")
}

/// Enqueues a task that is due at once and claims it.
pub(super) async fn claimed(store: &dyn TaskStore, task: Task) -> Claim {
    let id = enqueue(store, task).await;
    let claim = claim(store, 0).await;
    assert_eq!(claim.task.id, id, "another task was claimed");
    claim
}

/// Claims everything that is due now and returns the ids in the order of the claim.
pub(super) async fn due(store: &dyn TaskStore, second: i64) -> Vec<TaskId> {
    let claims = store.claim(&request(1_000, second)).await.unwrap();
    claims.iter().map(|claim| claim.task.id).collect()
}

/// Checks that nothing is claimable: at most the expiry of a lease is due next.
pub(super) async fn nothing_is_due(store: &dyn TaskStore) {
    let next = store.next_due(&["echo".to_owned()]).await.unwrap();
    assert!(next.is_none_or(|next| next >= at(LEASE)), "{next:?}");
}

/// Records one outcome under this claim.
pub(super) async fn record_outcomes(
    store: &dyn TaskStore,
    claim: &Claim,
    outcome: Outcome,
    second: i64,
) -> Result<()> {
    let mut answers =
        store.record_outcomes(vec![OutcomeRecord { claim: claim.key(), outcome }], at(second)).await.unwrap();
    assert_eq!(answers.len(), 1, "one answer for each outcome");
    answers.remove(0)
}

/// Reads a task that must exist.
pub(super) async fn read(store: &dyn TaskStore, id: TaskId) -> Task {
    store.get(id).await.unwrap().expect("the task is gone")
}

/// Reads all events of a task, which must be numbered 1, 2, 3 ...
pub(super) async fn events(store: &dyn TaskStore, id: TaskId) -> Vec<TaskEvent> {
    let events = store.events_after(id, 0, 100_000).await.unwrap();
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>(), "the sequence has a gap");
    assert!(events.iter().all(|event| event.task_id == id), "an event of another task");
    events
}

/// Returns the statuses that a task went through, each with its attempt.
pub(super) async fn history(store: &dyn TaskStore, id: TaskId) -> Vec<(TaskStatus, u32)> {
    let events = events(store, id).await;
    events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Status { status, attempt, .. } => Some((status, attempt)),
            EventKind::Progress { .. } | EventKind::Text { .. } | EventKind::Findings { .. } => None,
        })
        .collect()
}

/// Creates an error as a worker would report it.
pub(super) fn error(message: &str) -> TaskError {
    TaskError { kind: ErrorKind::Unavailable, message: message.into() }
}

/// Reads a task and its history, to check that nothing has changed.
pub(super) async fn all_of(store: &dyn TaskStore, id: TaskId) -> (Task, Vec<TaskEvent>) {
    (read(store, id).await, events(store, id).await)
}
