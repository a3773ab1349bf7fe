//! RabbitMQ broker for one test, and a consumer of its messages.

use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, Consumer};

#[path = "../../../tests/faults/broker.rs"]
mod server;

pub(crate) use server::Broker;

/// Consumes from a durable queue of its own. The connection must be kept.
pub(crate) async fn listen(broker: &Broker, queue: &str, topic: &str) -> (Connection, Consumer) {
    let connection = Connection::connect(&broker.url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let mut dead = FieldTable::default();
    dead.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("sutazai.dead-letters".into()));
    channel.queue_declare(queue.into(), durable, dead).await.unwrap();
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.into(), "sutazai.events".into(), topic.into(), options, none).await.unwrap();
    let consumer = consume(&connection, queue).await;
    (connection, consumer)
}

/// Consumes from an existing queue.
pub(crate) async fn consume(connection: &Connection, queue: &str) -> Consumer {
    let channel = connection.create_channel().await.unwrap();
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    channel.basic_consume(queue.into(), "".into(), options, none).await.unwrap()
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(30), consumer.next());
    next.await.unwrap_or_else(|_| panic!("no message was delivered within 30 s")).unwrap().unwrap()
}
