//! Check about the messages between agents.

use std::sync::Arc;

use serde_json::{Value, json};

use super::stage::{LEASE, at, claim, claimed, error, record_outcomes, task, task_with};
use crate::domain::{
    AgentMessage, AgentMessageContent, Claim, Heartbeat, Outcome, PageLimit, PageRequest, RetentionBatch,
    Task, TaskError, TaskId,
};
use crate::error::ErrorKind;
use crate::ports::{LeaseState, TaskStore};
use crate::testing::large_json;

/// Parents and children exchange messages, each written in the step that it reports: `TASK` once per requested child,
/// `RESULT` or `ERROR` when it has ended, and `HEARTBEAT` with each renewal, of which only the latest is kept;
/// `agent_messages` lists those of a task in their order, page by page.
pub async fn parent_and_children_exchange_messages(store: Arc<dyn TaskStore>) {
    let store = &*store;
    children_are_asked_and_answer(store).await;
    ended_child_answers_immediately(store).await;
    heartbeat_replaces_the_previous_one(store).await;
    pages_and_removal(store).await;
}

/// A page of `agent_messages` with several messages holds at most a megabyte of payloads; a larger message has a page of its own.
pub async fn pages_of_agent_messages_end_before_they_are_large(store: Arc<dyn TaskStore>) {
    let store = &*store;
    let held = claimed(store, task()).await;
    let parent = held.task.id;
    let children: Vec<Task> =
        [10, 10, 400_000, 50_000, 30_000].map(|values| Task { payload: large_json(values), ..task() }).into();
    record_outcomes(store, &held, wait(children.clone()), 1).await.unwrap();
    let (mut after, mut sizes, mut found) = (None, Vec::new(), Vec::new());
    loop {
        let page = store.agent_messages(parent, PageRequest::new(after, 100).unwrap()).await.unwrap();
        sizes.push(page.items.len());
        found.extend(page.items.into_iter().map(|message| message.content));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [2, 1, 2], "two small ones, the large one, and two that fit together");
    assert!(
        found.into_iter().eq(children.iter().map(|child| ask(&child.payload))),
        "each of them once, in order"
    );
}

async fn children_are_asked_and_answer(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let parent = held.task.id;
    assert_eq!(all(store, parent).await, []);
    // They are claimed in this order.
    let children: Vec<Task> = (0..4u8)
        .map(|n| Task { priority: 9 - n, payload: json!({ "part": n, "text": "a\0b" }), ..task() })
        .collect();
    let ids: Vec<TaskId> = children.iter().map(|child| child.id).collect();
    record_outcomes(store, &held, wait(children.clone()), 1).await.unwrap();
    let asked = all(store, parent).await;
    let expected: Vec<_> = children.iter().map(|child| (child.id, ask(&child.payload))).collect();
    assert_eq!(said(&asked), expected, "a child is asked with its payload, in the order of asking");
    for message in &asked {
        assert_eq!((message.source.as_str(), message.target.as_str()), ("echo", "echo"));
        assert_eq!((message.task_id, message.timestamp), (parent, at(1)));
    }

    let done = claim(store, 1).await;
    let failed = claim(store, 1).await;
    let retried = claim(store, 1).await;
    record_outcomes(store, &failed, Outcome::Failed(error("no")), 2).await.unwrap();
    record_outcomes(store, &done, Outcome::Completed(json!({ "sum": "a\0b" })), 3).await.unwrap();
    record_outcomes(store, &retried, Outcome::Retry { at: at(500), error: error("once") }, 3).await.unwrap();
    assert_eq!(all(store, ids[2]).await.len(), 1, "who is tried again has no answer yet");
    store.cancel(ids[2], at(4)).await.unwrap();
    store.cancel(ids[3], at(4)).await.unwrap();
    let messages = all(store, parent).await;
    let cancelled = TaskError { kind: ErrorKind::Cancelled, message: "the task was cancelled".into() };
    let answers = [
        (ids[1], AgentMessageContent::Error(error("no"))),
        (ids[0], AgentMessageContent::Result(json!({ "sum": "a\0b" }))),
        (ids[2], AgentMessageContent::Error(cancelled.clone())),
        (ids[3], AgentMessageContent::Error(cancelled)),
    ];
    assert_eq!(said(&messages[4..]), answers);
    assert_eq!(messages[4].timestamp, at(2));
    let keys: std::collections::HashSet<_> = messages.iter().map(|message| message.id).collect();
    assert_eq!(keys.len(), 8);
    for id in &ids {
        let of_child: Vec<AgentMessage> =
            messages.iter().filter(|message| message.correlation_id == *id).cloned().collect();
        assert_eq!(all(store, *id).await, of_child, "a child sees what is about it");
    }
    let again = claim(store, 5).await;
    assert_eq!(again.task.id, parent);
    record_outcomes(store, &again, Outcome::Completed(json!(1)), 5).await.unwrap();
    assert_eq!(all(store, parent).await.len(), 8, "nobody waits for the parent");
}

async fn ended_child_answers_immediately(store: &dyn TaskStore) {
    let keyed = || task_with(|new| new.idempotency_key = Some("known".into()), None);
    let early = claimed(store, keyed()).await;
    record_outcomes(store, &early, Outcome::Completed(json!("early")), 1).await.unwrap();
    let held = claimed(store, task()).await;
    record_outcomes(store, &held, wait(vec![keyed(), keyed()]), 2).await.unwrap();
    let answer = AgentMessageContent::Result(json!("early"));
    let expected = [(early.task.id, ask(&early.task.payload)), (early.task.id, answer)];
    assert_eq!(said(&all(store, held.task.id).await), expected, "asked for twice at a time is asked once");
    let again = claim(store, 2).await;
    record_outcomes(store, &again, Outcome::Completed(json!(1)), 3).await.unwrap();
}

async fn heartbeat_replaces_the_previous_one(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let (one, two) = (Task { priority: 9, ..task() }, task());
    record_outcomes(store, &held, wait(vec![one.clone(), two.clone()]), 1).await.unwrap();
    let (first, second) = (claim(store, 1).await, claim(store, 1).await);
    assert_eq!((first.task.id, second.task.id), (one.id, two.id));
    let renewed = [(&first, 5), (&second, 6), (&first, 9)];
    for (claim, second) in renewed {
        let states = store.renew(&[claim.key()], at(second + LEASE), at(second)).await.unwrap();
        assert_eq!(states, [LeaseState::Held]);
    }
    let messages = all(store, held.task.id).await;
    let sign = |second: i64| {
        AgentMessageContent::Heartbeat(Heartbeat { attempt: 1, lease_until: at(second + LEASE) })
    };
    assert_eq!(said(&messages[2..]), [(two.id, sign(6)), (one.id, sign(9))]);
    assert_eq!(messages[3].timestamp, at(9));
    let spent = Claim { task: Task { attempt: 7, ..first.task.clone() }, children: Vec::new() };
    let states = store.renew(&[spent.key()], at(40), at(10)).await.unwrap();
    assert_eq!(states, [LeaseState::Lost]);
    assert_eq!(all(store, held.task.id).await, messages, "a spent claim gives no sign");
    for claim in [&first, &second] {
        record_outcomes(store, claim, Outcome::Completed(Value::Null), 11).await.unwrap();
    }
    let answered = all(store, held.task.id).await;
    assert_eq!(answered.len(), 6, "{answered:?}");
    assert_eq!(said(&answered[4..5]), [(one.id, AgentMessageContent::Result(Value::Null))]);
    let again = claim(store, 11).await;
    store.renew(&[again.key()], at(60), at(12)).await.unwrap();
    assert_eq!(all(store, held.task.id).await.len(), 6, "nobody waits for it, so it tells nobody");
    record_outcomes(store, &again, Outcome::Completed(json!(1)), 13).await.unwrap();
}

async fn pages_and_removal(store: &dyn TaskStore) {
    let held = claimed(store, task()).await;
    let parent = held.task.id;
    let children: Vec<Task> = (0..7).map(|_| task()).collect();
    record_outcomes(store, &held, wait(children.clone()), 1).await.unwrap();
    let whole = all(store, parent).await;
    assert_eq!(whole.len(), 7);
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = store.agent_messages(parent, PageRequest::new(after, 3).unwrap()).await.unwrap();
        assert!((1..=3).contains(&page.items.len()));
        seen.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, whole);
    let exactly = store.agent_messages(parent, PageRequest::new(None, 7).unwrap()).await.unwrap();
    assert_eq!((exactly.items.len(), exactly.next), (7, None), "a full page at the end is the last");
    let beyond = PageRequest::new(Some(u64::MAX), 3).unwrap();
    assert_eq!(store.agent_messages(parent, beyond).await.unwrap().items, []);
    assert_eq!(all(store, TaskId::new()).await, []);

    for _ in &children {
        let child = claim(store, 1).await;
        record_outcomes(store, &child, Outcome::Completed(json!(1)), 1).await.unwrap();
    }
    let again = claim(store, 1).await;
    record_outcomes(store, &again, Outcome::Completed(json!(1)), 2).await.unwrap();
    store.delete(children[0].id).await.unwrap();
    assert_eq!(all(store, children[0].id).await, []);
    let left = all(store, parent).await;
    assert_eq!(left.len(), 12, "with a child go its question and its answer");
    assert!(left.iter().all(|message| message.correlation_id != children[0].id));
    let before = RetentionBatch {
        after: TaskId(uuid::Uuid::nil()),
        before: TaskId(uuid::Uuid::max()),
        ended_before: Some(at(2)),
        failed_before: None,
        limit: 100,
    };
    assert!(store.prune(&before).await.unwrap().removed >= 6);
    assert_eq!(all(store, parent).await, []);
    store.delete(parent).await.unwrap();
}

async fn all(store: &dyn TaskStore, id: TaskId) -> Vec<AgentMessage> {
    let page = store.agent_messages(id, PageLimit::MAX.into()).await.unwrap();
    assert_eq!(page.next, None);
    page.items
}

fn said(messages: &[AgentMessage]) -> Vec<(TaskId, AgentMessageContent)> {
    messages.iter().map(|message| (message.correlation_id, message.content.clone())).collect()
}

fn ask(payload: &Value) -> AgentMessageContent {
    AgentMessageContent::Task(payload.clone())
}

fn wait(children: Vec<Task>) -> Outcome {
    Outcome::wait_for_all(children, json!({}))
}
