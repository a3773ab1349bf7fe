//! Check about the event log of all tasks.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::stage::{at, claim, claimed, enqueue, events, record_outcomes, task, task_with};
use crate::domain::{EventKind, EventLogEntry, EventOffset, NewEvent, Outcome, Page, TaskId, UserId};
use crate::ports::{Clock, SystemClock, TaskStore};
use crate::testing::real_time;

const START: EventOffset = EventOffset(0);

fn text(text: String) -> Vec<NewEvent> {
    vec![NewEvent { at: at(2), kind: EventKind::text(text) }]
}

/// The event log contains every event once, of one owner or of all, in an order in which no event appears
/// before a position that was already returned, however many write.
pub async fn event_log_contains_each_event_once(store: Arc<dyn TaskStore>) {
    assert_eq!(store.event_log_after(None, START, 10).await.unwrap(), Page::default());
    let (ada, eve) = (UserId::new(), UserId::new());
    let mut order: Vec<(TaskId, u64)> = Vec::new();
    let mut ids = Vec::new();
    for owner in [Some(ada), None, Some(eve)] {
        let held = claimed(&*store, task_with(|_| {}, owner)).await;
        ids.push((held.task.id, owner));
        order.extend([(held.task.id, 1), (held.task.id, 2)]);
        store.append(&held.key(), text("grüezi".into())).await.unwrap();
        record_outcomes(&*store, &held, Outcome::Completed(json!(1)), 3).await.unwrap();
        order.extend([(held.task.id, 3), (held.task.id, 4)]);
    }
    let all = read_on(&*store, None, START, 5, order.len()).await;
    let places = |log: &[EventLogEntry]| -> Vec<(TaskId, u64)> {
        log.iter().map(|entry| (entry.event.task_id, entry.event.sequence)).collect()
    };
    assert_eq!(places(&all), order);
    for (id, owner) in &ids {
        let of_task: Vec<_> =
            all.iter().filter(|entry| entry.event.task_id == *id).map(|entry| entry.event.clone()).collect();
        assert_eq!(of_task, events(&*store, *id).await);
        assert!(all.iter().all(|entry| (entry.event.task_id == *id) <= (entry.owner == *owner)));
    }
    for owner in [ada, eve] {
        let own: Vec<_> = all.iter().filter(|entry| entry.owner == Some(owner)).cloned().collect();
        assert_eq!(read_on(&*store, Some(owner), START, 3, own.len()).await, own);
        assert_eq!(store.event_log_after(Some(owner), own[1].position, 1).await.unwrap().items, own[2..3]);
    }
    assert_eq!(store.event_log_after(Some(UserId::new()), START, 9).await.unwrap(), Page::default());

    let end = store.event_log_end().await.unwrap();
    assert!(all.iter().all(|entry| entry.position <= end));
    assert_eq!(store.event_log_after(None, end, 9).await.unwrap(), Page::default());
    store.delete(ids[2].0).await.unwrap();
    assert!(
        store.event_log_end().await.unwrap() >= end,
        "the event log does not go back with what is deleted"
    );
    let left: Vec<_> = all.iter().filter(|entry| entry.event.task_id != ids[2].0).cloned().collect();
    assert_eq!(
        store.event_log_after(None, START, 100).await.unwrap(),
        Page { items: left.clone(), next: None }
    );
    let next = enqueue(&*store, task()).await;
    assert_eq!(places(&read_on(&*store, None, end, 9, 1).await), [(next, 1)], "its place was taken before");
    claim(&*store, 0).await;

    followed_while_many_write(store, [ada, eve], left.len() + 2).await;
}

/// A page of `events_after` or `event_log_after` with several events has at most 1 MB of text; a larger event has a page of
/// its own. A page of `events_after` is empty only at the end.
pub async fn pages_of_events_end_before_they_are_large(store: Arc<dyn TaskStore>) {
    const EVENTS: usize = 7;
    let owner = Some(UserId::new());
    let held = claimed(&*store, task_with(|_| {}, owner)).await;
    let texts = [10, 10, 1_500_000, 500_000, 300_000].map(|bytes| text("x".repeat(bytes)).remove(0));
    store.append(&held.key(), texts.clone().into()).await.unwrap();

    let (mut after, mut sizes, mut read) = (0, Vec::new(), Vec::new());
    loop {
        let page = store.events_after(held.task.id, after, 100).await.unwrap();
        sizes.push(page.len());
        let Some(last) = page.last() else { break };
        after = last.sequence;
        read.extend(page);
    }
    assert_eq!(
        sizes,
        [4, 1, 2, 0],
        "two statuses and two small texts, the large one, and two that fit together"
    );
    assert!(read.iter().map(|event| event.sequence).eq(1..=EVENTS as u64), "each event once, in order");
    assert!(read[2..].iter().map(|event| &event.kind).eq(texts.iter().map(|event| &event.kind)));

    for owner in [owner, None] {
        // Waits until the log has all of them.
        let whole = read_on(&*store, owner, START, 100, EVENTS).await;
        assert!(whole.iter().map(|entry| &entry.event).eq(&read));
        let (mut after, mut pages) = (START, Vec::new());
        loop {
            let page = store.event_log_after(owner, after, 100).await.unwrap();
            pages.push((page.items.len(), page.next.is_some()));
            after = page.items.last().map_or(after, |entry| entry.position);
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(pages, [(4, true), (1, true), (2, false)]);
    }
}

/// Readers of all events and of one owner's follow while six tasks are written. The log has `known` events before.
async fn followed_while_many_write(store: Arc<dyn TaskStore>, owners: [UserId; 2], known: usize) {
    const EACH: usize = 25;
    let mut held = Vec::new();
    for n in 0..6 {
        held.push(claimed(&*store, task_with(|_| {}, Some(owners[n % 2]))).await);
    }
    // The events of the claims appear in the log a moment later than in their tasks.
    read_on(&*store, None, START, 100, known + 2 * held.len()).await;
    let end = store.event_log_end().await.unwrap();
    let reader = |owner, count| {
        let store = store.clone();
        tokio::spawn(async move { read_on(&*store, owner, end, 7, count).await })
    };
    let readers = [reader(None, 6 * EACH), reader(Some(owners[0]), 3 * EACH)];
    let writers: Vec<_> = held
        .iter()
        .map(|claim| (store.clone(), claim.key()))
        .map(|(store, key)| {
            tokio::spawn(async move {
                for n in 0..EACH {
                    store.append(&key, text(n.to_string())).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    for (reader, tasks) in readers.into_iter().zip([6, 3]) {
        let read = reader.await.unwrap();
        for claim in held.iter().filter(|claim| tasks == 6 || claim.task.owner == Some(owners[0])) {
            let of_task = read.iter().filter(|entry| entry.event.task_id == claim.task.id);
            let sequences: Vec<u64> = of_task.map(|entry| entry.event.sequence).collect();
            assert_eq!(sequences, (3..3 + EACH as u64).collect::<Vec<_>>(), "one writer's events in order");
        }
    }
}

/// Reads page by page until `count` events have come, and checks that there are no more.
pub(in crate::testing) async fn read_on(
    store: &dyn TaskStore,
    owner: Option<UserId>,
    mut after: EventOffset,
    limit: u32,
    count: usize,
) -> Vec<EventLogEntry> {
    let (mut read, mut seen) = (Vec::new(), HashSet::new());
    let reading = async {
        while read.len() < count {
            let page = store.event_log_after(owner, after, limit).await.unwrap();
            assert!(page.items.len() <= limit as usize, "a page longer than its limit");
            assert!(page.next.is_none() || !page.items.is_empty(), "an empty page with another after it");
            if page.items.is_empty() {
                SystemClock.sleep(Duration::from_millis(2)).await;
            }
            for entry in page.items {
                assert!(entry.position > after, "{:?} after {after:?}", entry.position);
                assert!(seen.insert((entry.event.task_id, entry.event.sequence)), "an event came twice");
                after = entry.position;
                read.push(entry);
            }
        }
    };
    real_time::within(Duration::from_secs(20), reading).await.expect("an event was missed");
    assert_eq!(store.event_log_after(owner, after, limit).await.unwrap(), Page::default());
    read
}
