//! Conformance suite of the port [`RelayStore`].

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeZone, Utc};
use futures::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::domain::{
    BusMessage, Claim, ConcurrencyLimits, EventKind, EventOffset, InstanceId, NewEvent, NewTask, Outcome,
    OutcomeRecord, RetentionBatch, Task, TaskId, TraceContext,
};
use crate::error::ErrorKind;
use crate::ports::{ClaimRequest, RelayClaim, RelayStore, TaskStore};
use crate::testing::task_store::read_on;

const LEASE: Duration = Duration::from_secs(15);
const BEGIN: EventOffset = EventOffset(7);
/// A position near the maximum that stores support.
const LATE: EventOffset = EventOffset((u64::MAX as u128) << 64 | 5);

/// Runs every check of the contract; `fresh` returns the stores of a database whose relay has never been held.
pub async fn run_all<F>(fresh: impl Fn() -> F)
where
    F: Future<Output = (Arc<dyn TaskStore>, Arc<dyn RelayStore>)>,
{
    position_is_set_once_and_continues(&*fresh().await.1).await;
    one_of_several_acquires(&*fresh().await.1).await;
    another_acquires_after_the_lease_or_a_release(&*fresh().await.1).await;
    only_the_holder_advances(&*fresh().await.1).await;
    let (tasks, relays) = fresh().await;
    deleted_task_leaves_unpublished_messages_in_the_outbox(&*tasks, &*relays).await;
}

/// The first `acquire` ever starts at the position that it names; every later one continues where `advance` was last.
pub async fn position_is_set_once_and_continues(store: &dyn RelayStore) {
    let claim = claim(0);
    assert_eq!(store.acquire(&claim, BEGIN).await.unwrap(), Some(BEGIN));
    assert_eq!(store.acquire(&claim, LATE).await.unwrap(), Some(BEGIN));
    store.advance(&claim, LATE).await.unwrap();
    assert_eq!(store.acquire(&claim, BEGIN).await.unwrap(), Some(LATE));
}

/// Of several concurrent calls of `acquire` one succeeds; the holder may call it again, which renews its lease, and others
/// may not.
pub async fn one_of_several_acquires(store: &dyn RelayStore) {
    let claims: Vec<RelayClaim> = (0..10).map(|_| claim(0)).collect();
    let held = join_all(claims.iter().map(|claim| store.acquire(claim, BEGIN))).await;
    let held: Vec<bool> = held.into_iter().map(|held| held.unwrap().is_some()).collect();
    assert_eq!(held.iter().filter(|held| **held).count(), 1, "{held:?}");
    let (ours, other) = (held.iter().position(|held| *held).unwrap(), held.iter().position(|held| !held));
    let (ours, other) = (claims[ours], claims[other.unwrap()]);
    assert!(store.acquire(&later(ours, 10), BEGIN).await.unwrap().is_some());
    assert_eq!(store.acquire(&later(other, 20), BEGIN).await.unwrap(), None);
}

/// Another instance may hold the relay after the lease has expired or was released, and continues at its
/// position.
pub async fn another_acquires_after_the_lease_or_a_release(store: &dyn RelayStore) {
    let (first, second, third) = (claim(0), claim(0), claim(0));
    store.acquire(&first, BEGIN).await.unwrap();
    store.advance(&first, EventOffset(20)).await.unwrap();
    assert_eq!(store.acquire(&later(second, 14), BEGIN).await.unwrap(), None);
    assert_eq!(store.acquire(&later(second, 16), BEGIN).await.unwrap(), Some(EventOffset(20)));
    store.release(third.holder).await.unwrap();
    assert_eq!(store.acquire(&later(third, 17), BEGIN).await.unwrap(), None);
    store.release(second.holder).await.unwrap();
    assert_eq!(store.acquire(&later(third, 18), BEGIN).await.unwrap(), Some(EventOffset(20)));
}

/// `advance` by the holder moves the position and renews the lease; by anybody else it is `Conflict` and changes
/// nothing.
pub async fn only_the_holder_advances(store: &dyn RelayStore) {
    let (first, second) = (claim(0), claim(0));
    let refused = async |claim: &RelayClaim| {
        let refused = store.advance(claim, LATE).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    };
    refused(&first).await;
    store.acquire(&first, BEGIN).await.unwrap();
    store.advance(&later(first, 10), EventOffset(8)).await.unwrap();
    refused(&second).await;
    assert_eq!(store.acquire(&later(second, 20), BEGIN).await.unwrap(), None);
    assert_eq!(store.acquire(&later(second, 26), BEGIN).await.unwrap(), Some(EventOffset(8)));
    refused(&first).await;
    assert_eq!(store.acquire(&later(second, 27), BEGIN).await.unwrap(), Some(EventOffset(8)));
}

/// Deleting a task of which an event lies behind the position leaves the messages about all its events in the outbox,
/// in their order; `delete_published` removes the named ones only.
pub async fn deleted_task_leaves_unpublished_messages_in_the_outbox(
    tasks: &dyn TaskStore,
    relays: &dyn RelayStore,
) {
    let early = ended(tasks, 1).await;
    tasks.delete(early[0]).await.unwrap();
    assert_eq!(relays.outbox(100).await.unwrap(), [], "nobody wants to hear of it");

    let before = ended(tasks, 1).await;
    let log = read_on(tasks, None, EventOffset::default(), 100, 4).await;
    let (claim, begin) = (claim(0), log[3].position);
    relays.acquire(&claim, begin).await.unwrap();
    tasks.delete(before[0]).await.unwrap();
    assert_eq!(relays.outbox(100).await.unwrap(), [], "it ended before the relay began");
    let told = ended(tasks, 3).await;
    let log = read_on(tasks, None, begin, 100, 12).await;
    let last = |task: TaskId| {
        let of_task = log.iter().filter(|entry| entry.event.task_id == task);
        of_task.map(|entry| entry.position).max().unwrap()
    };
    // All three ended in one transaction, and the relay has published up to the end of the second.
    let mut positions: Vec<EventOffset> = told.iter().map(|task| last(*task)).collect();
    positions.sort_unstable();
    let position = positions[1];
    relays.advance(&claim, position).await.unwrap();
    let passed: Vec<TaskId> = told.iter().copied().filter(|task| last(*task) <= position).collect();
    let waiting: Vec<TaskId> = told.iter().copied().filter(|task| last(*task) > position).collect();
    assert_eq!((passed.len(), waiting.len()), (2, 1), "the position is within the events of one transaction");
    for task in &passed {
        tasks.delete(*task).await.unwrap();
    }
    assert_eq!(relays.outbox(100).await.unwrap(), [], "all was passed on");

    let task = tasks.get(waiting[0]).await.unwrap().unwrap();
    let events = tasks.events_after(task.id, 0, 100).await.unwrap();
    assert_eq!(events.len(), 4);
    let of_one: Vec<BusMessage> = events.iter().map(|event| BusMessage::of_event(event, &task)).collect();
    tasks.delete(task.id).await.unwrap();
    assert_eq!(messages(relays).await, of_one, "all events of it, in their order");

    let pruned = ended(tasks, 2).await;
    let mut expected = of_one;
    let mut sorted = pruned.clone();
    sorted.sort_unstable();
    for id in sorted {
        let task = tasks.get(id).await.unwrap().unwrap();
        let events = tasks.events_after(id, 0, 100).await.unwrap();
        expected.extend(events.iter().map(|event| BusMessage::of_event(event, &task)));
    }
    let look = RetentionBatch {
        after: TaskId(Uuid::nil()),
        before: TaskId(Uuid::max()),
        ended_before: Some(at(1_000)),
        failed_before: None,
        limit: 100,
    };
    assert_eq!(tasks.prune(&look).await.unwrap().removed, 2);
    assert_eq!(messages(relays).await, expected);
    let first = relays.outbox(5).await.unwrap();
    assert_eq!(first.len(), 5);
    let numbers: Vec<u64> = first.iter().map(|left| left.number).collect();
    assert!(numbers.is_sorted());
    relays.delete_published(&[numbers[0], numbers[2]]).await.unwrap();
    relays.delete_published(&[numbers[0]]).await.unwrap();
    expected.remove(2);
    expected.remove(0);
    assert_eq!(messages(relays).await, expected);
}

async fn messages(relays: &dyn RelayStore) -> Vec<BusMessage> {
    relays.outbox(100).await.unwrap().into_iter().map(|left| left.message).collect()
}

/// Enqueues tasks, appends one event to each, and completes them together.
async fn ended(tasks: &dyn TaskStore, count: usize) -> Vec<TaskId> {
    let trace: Option<TraceContext> =
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 order-17".parse().ok();
    let new = NewTask::new("echo", json!({}));
    let new = |_| Task { trace: trace.clone(), ..Task::pending(new.clone(), None, None, at(0)) };
    let added = tasks.enqueue((0..count).map(new).collect()).await.unwrap();
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["echo".into()],
        limit: 100,
        lease: LEASE,
        now: at(1),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let claims = tasks.claim(&request).await.unwrap();
    for claim in &claims {
        let said = NewEvent { at: at(1), kind: EventKind::text("a\0b") };
        tasks.append(&claim.key(), vec![said]).await.unwrap();
    }
    let record = |claim: &Claim| OutcomeRecord {
        claim: claim.key(),
        outcome: Outcome::Completed(json!({ "said": "a\0b" })),
    };
    for answer in tasks.record_outcomes(claims.iter().map(record).collect(), at(2)).await.unwrap() {
        answer.unwrap();
    }
    added.into_iter().map(|task| task.id).collect()
}

fn claim(seconds: i64) -> RelayClaim {
    RelayClaim { holder: InstanceId::new(), lease: LEASE, now: at(seconds) }
}

fn later(claim: RelayClaim, seconds: i64) -> RelayClaim {
    RelayClaim { now: at(seconds), ..claim }
}

fn at(seconds: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_767_225_600 + seconds, 0).unwrap()
}
