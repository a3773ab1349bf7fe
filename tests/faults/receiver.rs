//! Program that receives the events of all tasks over RabbitMQ, with a durable queue as in `docs/bus.md`, and
//! keeps a ledger of every message.

use std::collections::HashMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicQosOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, Consumer, ExchangeKind};
use serde_json::Value;
use sutazai::domain::TaskId;
use tokio::time::timeout;

use crate::events::Event;
use crate::node::AGENT;

const EXCHANGE: &str = "sutazai.events";
const QUEUE: &str = "the-driver";
/// Prefetch count: messages delivered but not acknowledged.
const PREFETCH_COUNT: u16 = 200;
/// Timeout after which a silent connection is abandoned: one that breaks at a bad moment never reports it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Ledger of the received events.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// Events of each task, indexed by sequence minus 1.
    tasks: Mutex<HashMap<TaskId, Vec<Option<Event>>>>,
    /// Invalid messages, one sentence each.
    wrong: Mutex<Vec<String>>,
    events: AtomicU64,
    again: AtomicU64,
    connections: AtomicU64,
}

impl Receiver {
    /// Receives messages until it is aborted, over as many connections as needed.
    pub(crate) async fn listen(self: Arc<Self>, broker: String) {
        loop {
            // The broker is unreachable or stopping; unacknowledged messages are delivered again.
            let _ = self.over_one_connection(&broker).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Returns the number of events received.
    pub(crate) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Returns the number of redelivered events, and the number of connections.
    pub(crate) fn again(&self) -> (u64, u64) {
        (self.again.load(Ordering::Relaxed), self.connections.load(Ordering::Relaxed))
    }

    /// Returns all differences to the events in the database.
    pub(crate) fn differences(&self, events: &HashMap<TaskId, Vec<Event>>) -> Vec<String> {
        let mut differences = self.wrong.lock().unwrap().clone();
        let tasks = self.tasks.lock().unwrap();
        for (task, there) in events {
            let received = tasks.get(task).map_or(&[][..], |received| received);
            for event in there {
                match received.get(place(event)).and_then(Option::as_ref) {
                    None => differences.push(format!("event {}:{} was not received", task, event.sequence)),
                    Some(other) if other != event => {
                        differences.push(format!(
                            "{other:?} was received of task {task}, but the database has {event:?}"
                        ));
                    }
                    Some(_) => {}
                }
            }
            if received.len() > there.len() {
                let count = (received.len(), there.len());
                differences
                    .push(format!("{} events were received of task {task}, which has {}", count.0, count.1));
            }
        }
        let unknown = tasks.keys().filter(|task| !events.contains_key(task));
        differences.extend(
            unknown.map(|task| format!("events of task {task} were received, but it does not exist")),
        );
        differences
    }

    /// Receives messages until the connection breaks or is silent.
    async fn over_one_connection(&self, broker: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (_connection, mut consumer) = timeout(IDLE_TIMEOUT, self.consume(broker)).await??;
        while let Some(delivery) = timeout(IDLE_TIMEOUT, consumer.next()).await? {
            let delivery = delivery?;
            if let Err(wrong) = self.note(&delivery) {
                let text = String::from_utf8_lossy(&delivery.data);
                self.wrong.lock().unwrap().push(format!("{wrong}: {text} over {}", delivery.routing_key));
            }
            timeout(IDLE_TIMEOUT, delivery.ack(BasicAckOptions::default())).await??;
        }
        Ok(())
    }

    async fn consume(&self, broker: &str) -> lapin::Result<(Connection, Consumer)> {
        let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        declare(&channel).await?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(QUEUE.into(), "".into(), options, none).await?;
        Ok((connection, consumer))
    }

    fn note(&self, delivery: &Delivery) -> Result<(), &'static str> {
        let body: Value = serde_json::from_slice(&delivery.data).map_err(|_| "a message is not JSON")?;
        let event =
            Event::parse(&body).filter(|event| event.sequence > 0).ok_or("a message is not an event")?;
        let task = body["task_id"].as_str().and_then(|id| id.parse().ok()).ok_or("a message has no task")?;
        let id = format!("{task}:{}", event.sequence);
        let of_message = delivery.properties.message_id().as_ref().map(ToString::to_string);
        if body["id"] != *id || of_message.as_ref() != Some(&id) {
            return Err("a message has another id");
        }
        let last = event.status.map_or_else(|| body["type"].as_str().unwrap_or_default(), |s| s.as_str());
        if delivery.routing_key.as_str() != format!("task.{AGENT}.{last}") {
            return Err("a message has another topic");
        }
        let mut tasks = self.tasks.lock().unwrap();
        let received = tasks.entry(task).or_default();
        let place = place(&event);
        if let Some(Some(first)) = received.get(place) {
            self.again.fetch_add(1, Ordering::Relaxed);
            return if *first == event {
                Ok(())
            } else {
                Err("a redelivered message differs from the first")
            };
        }
        let in_order =
            received[..place.min(received.len())].iter().all(Option::is_some) && place <= received.len();
        if received.len() <= place {
            received.resize(place + 1, None);
        }
        received[place] = Some(event);
        self.events.fetch_add(1, Ordering::Relaxed);
        if in_order { Ok(()) } else { Err("a message arrived before its predecessor") }
    }
}

/// Declares the queue, before the first server starts.
pub(crate) async fn prepare(broker: &str) {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await.unwrap();
    declare(&connection.create_channel().await.unwrap()).await.unwrap();
}

async fn declare(channel: &Channel) -> lapin::Result<()> {
    let (options, none) = (
        ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() },
        FieldTable::default(),
    );
    channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, none.clone()).await?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, none.clone()).await?;
    let bound = QueueBindOptions::default();
    channel.queue_bind(QUEUE.into(), EXCHANGE.into(), "task.#".into(), bound, none).await?;
    channel.basic_qos(PREFETCH_COUNT, BasicQosOptions::default()).await
}

/// Returns the index of an event in the ledger.
fn place(event: &Event) -> usize {
    usize::try_from(event.sequence).unwrap() - 1
}
