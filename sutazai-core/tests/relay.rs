//! Relay to a faulty bus, and several relays of which one works at a time.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)] // tests fail by panicking

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sutazai_core::domain::{
    BusMessage, Claim, ConcurrencyLimits, InstanceId, NewTask, Outcome, OutcomeRecord, Task, TaskId,
};
use sutazai_core::memory::{MemoryMessageBus, MemoryRelayStore, MemoryTaskStore};
use sutazai_core::ports::{ClaimRequest, Clock, MessageBus, RelayStore, SystemClock, TaskQueue, TaskRecords};
use sutazai_core::relay::Relay;
use sutazai_core::{Error, Result};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Message bus that publishes the first half of the messages and then fails, every third time.
#[derive(Debug)]
struct Faulty {
    bus: MemoryMessageBus,
    calls: AtomicU32,
}

#[async_trait]
impl MessageBus for Faulty {
    async fn publish(&self, messages: &[BusMessage]) -> Result<()> {
        if self.calls.fetch_add(1, Ordering::SeqCst) % 3 == 1 {
            self.bus.publish(&messages[..messages.len() / 2]).await?;
            return Err(Error::unavailable("broken off"));
        }
        self.bus.publish(messages).await
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}

struct Stage {
    tasks: Arc<MemoryTaskStore>,
    relays: Arc<MemoryRelayStore>,
    bus: Arc<Faulty>,
    received: broadcast::Receiver<BusMessage>,
}

impl Stage {
    fn new() -> Self {
        let bus = MemoryMessageBus::new(100_000);
        let received = bus.listen();
        let bus = Arc::new(Faulty { bus, calls: AtomicU32::new(0) });
        let tasks = Arc::new(MemoryTaskStore::new());
        Self { relays: tasks.relays(), tasks, bus, received }
    }

    fn relay(&self) -> Arc<Relay> {
        let clock = Arc::new(SystemClock);
        Arc::new(Relay::new(
            (self.tasks.clone(), self.tasks.clone()),
            self.relays.clone(),
            self.bus.clone(),
            clock,
        ))
    }

    /// Enqueues `count` tasks and completes them.
    async fn complete(&self, count: usize) -> Vec<TaskId> {
        let now = SystemClock.now();
        let new = |_| Task::pending(NewTask::new("counter", json!({})), None, None, now);
        let tasks = self.tasks.enqueue((0..count).map(new).collect()).await.unwrap();
        let request = ClaimRequest {
            worker: InstanceId::new(),
            agents: vec!["counter".into()],
            limit: u32::MAX,
            lease: Duration::from_secs(60),
            now: later(now),
            limits: ConcurrencyLimits::default(),
            after: None,
        };
        let claims = self.tasks.claim(&request).await.unwrap();
        let record = |claim: &Claim| OutcomeRecord {
            claim: claim.key(),
            outcome: Outcome::Completed(json!({ "counted": 1 })),
        };
        self.tasks.record_outcomes(claims.iter().map(record).collect(), later(now)).await.unwrap();
        tasks.into_iter().map(|task| task.id).collect()
    }

    /// Receives messages until each of these tasks is completed; checks that no event arrives for the first time before
    /// its predecessors. Returns the number of repeated messages.
    async fn receive_completions(&mut self, ids: &[TaskId]) -> usize {
        let mut latest: HashMap<String, u64> = ids.iter().map(|id| (id.to_string(), 0)).collect();
        let (mut open, mut repeated) = (ids.len(), 0);
        while open > 0 {
            let clock: &dyn Clock = &SystemClock;
            let next = clock.timeout(Duration::from_secs(20), self.received.recv());
            let message = next.await.unwrap_or_else(|| panic!("{open} tasks are not told of")).unwrap();
            let body: Value = serde_json::from_str(&message.body).unwrap();
            let Some(seen) = latest.get_mut(body["task_id"].as_str().unwrap()) else { continue };
            let sequence = body["sequence"].as_u64().unwrap();
            if sequence <= *seen {
                repeated += 1;
                continue;
            }
            assert_eq!(sequence, *seen + 1, "{body}");
            *seen = sequence;
            if body["status"] == "completed" {
                assert_eq!(
                    (message.topic.as_str(), &body["result"]["counted"]),
                    ("task.counter.completed", &json!(1))
                );
                open -= 1;
            }
        }
        repeated
    }
}

fn later(at: DateTime<Utc>) -> DateTime<Utc> {
    at + Duration::from_secs(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_in_order_over_a_faulty_bus() {
    let mut stage = Stage::new();
    stage.complete(3).await;
    let relay = stage.relay();
    relay.begin().await.unwrap();
    let ids = stage.complete(700).await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (relay, stop) = (relay.clone(), stop.clone());
        async move { relay.run(stop).await }
    });
    let repeated = stage.receive_completions(&ids).await;
    assert!(repeated > 0, "the bus never failed in the middle");
    stop.cancel();
    running.await.unwrap();
    // Another relay continues at the same position.
    let more = stage.complete(5).await;
    let stop = CancellationToken::new();
    let next = stage.relay();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { next.run(stop).await }
    });
    stage.receive_completions(&more).await;
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_deleted_tasks_are_published() {
    let mut stage = Stage::new();
    let relay = stage.relay();
    relay.begin().await.unwrap();
    let ids = stage.complete(400).await;
    for id in ids.iter().step_by(2) {
        stage.tasks.delete(*id).await.unwrap();
    }
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { relay.run(stop).await }
    });
    stage.receive_completions(&ids).await;
    // Also while the relay is running.
    let more = stage.complete(100).await;
    for id in &more {
        stage.tasks.delete(*id).await.unwrap();
    }
    stage.receive_completions(&more).await;
    while !stage.relays.outbox(1).await.unwrap().is_empty() {
        SystemClock.sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_relays_publishes() {
    let mut stage = Stage::new();
    stage.bus.calls.store(2, Ordering::SeqCst);
    let relays = [stage.relay(), stage.relay()];
    for relay in &relays {
        relay.begin().await.unwrap();
    }
    let stop = CancellationToken::new();
    let running = relays.map(|relay| {
        let stop = stop.clone();
        tokio::spawn(async move { relay.run(stop).await })
    });
    let ids = stage.complete(20).await;
    stage.receive_completions(&ids).await;
    stop.cancel();
    for one in running {
        one.await.unwrap();
    }
    assert_eq!(stage.received.try_recv().ok(), None, "something was said twice without a fault");
}
