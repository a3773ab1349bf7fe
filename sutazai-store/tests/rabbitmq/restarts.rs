//! The broker is killed amid a thousand events, and a consumer receives each of them, in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::Consumer;
use lapin::options::BasicAckOptions;
use serde_json::{Value, json};
use sutazai_core::domain::{
    Claim, ConcurrencyLimits, EventKind, InstanceId, NewEvent, NewTask, Outcome, OutcomeRecord, Task, TaskId,
};
use sutazai_core::ports::{ClaimRequest, Clock, SystemClock};
use sutazai_core::relay::Relay;
use sutazai_store::Stores;
use sutazai_store::rabbitmq::RabbitMqMessageBus;
use tokio_util::sync::CancellationToken;

use crate::HANG_LIMIT;
use crate::broker::{Broker, listen};

const TASKS: usize = 100;
/// Events per task: pending, processing, seven progress reports, completed.
const EVENTS: u64 = 10;

/// Runs the tasks through their life cycle meanwhile; returns their ids.
async fn live(stores: &Stores) -> Vec<TaskId> {
    let now = SystemClock.now();
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        let task = Task::pending(NewTask::new("counter", json!({})), None, None, now);
        ids.push(stores.tasks.enqueue(vec![task]).await.unwrap()[0].id);
    }
    let request = ClaimRequest {
        worker: InstanceId::new(),
        agents: vec!["counter".into()],
        limit: TASKS as u32,
        lease: Duration::from_secs(600),
        now: SystemClock.now(),
        limits: ConcurrencyLimits::default(),
        after: None,
    };
    let claims = stores.tasks.claim(&request).await.unwrap();
    assert_eq!(claims.len(), TASKS);
    for n in 0..7 {
        for claim in &claims {
            let kind = EventKind::progress(n as f32 / 7.0, "counting");
            let event = NewEvent { at: SystemClock.now(), kind };
            stores.tasks.append(&claim.key(), vec![event]).await.unwrap();
        }
    }
    let done =
        |claim: &Claim| OutcomeRecord { claim: claim.key(), outcome: Outcome::Completed(json!({ "n": 1 })) };
    stores.tasks.record_outcomes(claims.iter().map(done).collect(), SystemClock.now()).await.unwrap();
    ids
}

/// Receives messages until no event is missing; returns `false` when the connection is lost or none
/// arrives for 40 s.
async fn take(consumer: &mut Consumer, seen: &mut HashMap<String, u64>) -> bool {
    loop {
        if seen.len() == TASKS && seen.values().all(|sequence| *sequence == EVENTS) {
            return true;
        }
        let Ok(Some(Ok(delivery))) = tokio::time::timeout(Duration::from_secs(40), consumer.next()).await
        else {
            return false;
        };
        let body: Value = serde_json::from_slice(&delivery.data).unwrap();
        let latest = seen.entry(body["task_id"].as_str().unwrap().to_owned()).or_default();
        let sequence = body["sequence"].as_u64().unwrap();
        assert!(sequence <= *latest + 1, "{body} came after {latest}");
        *latest = sequence.max(*latest);
        if delivery.ack(BasicAckOptions::default()).await.is_err() {
            return false;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_lost_when_the_broker_is_killed_amid_a_thousand() {
    let mut broker = Broker::start();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/sutazai.db", folder.path().display());
    let stores = sutazai_store::open(&url).await.unwrap();
    let bus = Arc::new(RabbitMqMessageBus::at(&broker.url).unwrap());
    let relay = Relay::new(
        (stores.tasks.clone(), stores.tasks.clone()),
        stores.relays.clone(),
        bus.clone(),
        Arc::new(SystemClock),
    );
    relay.begin().await.unwrap();
    sutazai_core::ports::MessageBus::ping(&*bus).await.unwrap();
    let (mut connection, mut consumer) = listen(&broker, "ours", "task.counter.*").await;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { relay.run(stop).await }
    });

    let living = tokio::spawn({
        let stores = stores.clone();
        async move { live(&stores).await }
    });
    let mut seen = HashMap::new();
    // Some events were received, but most are still missing.
    while seen.len() < 10 {
        let delivery = crate::broker::next(&mut consumer).await;
        let body: Value = serde_json::from_slice(&delivery.data).unwrap();
        seen.insert(body["task_id"].as_str().unwrap().to_owned(), body["sequence"].as_u64().unwrap());
        delivery.ack(BasicAckOptions::default()).await.unwrap();
    }
    assert!(!living.is_finished());
    tokio::task::block_in_place(|| broker.order("kill"));
    let ids = living.await.unwrap();
    // Events of a task that is removed before they were published are published all the same.
    for id in ids.iter().step_by(3) {
        stores.tasks.delete(*id).await.unwrap();
    }
    tokio::task::block_in_place(|| broker.order("start"));
    let begun = Instant::now();
    loop {
        drop((consumer, connection));
        (connection, consumer) = listen(&broker, "ours", "task.counter.*").await;
        if take(&mut consumer, &mut seen).await {
            break;
        }
        assert!(begun.elapsed() < HANG_LIMIT, "missing: {seen:?}");
    }
    assert!(ids.iter().all(|id| seen[&id.to_string()] == EVENTS));
    stop.cancel();
    running.await.unwrap();
}
