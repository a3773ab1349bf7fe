//! A RabbitMQ of the test's own, and somebody who listens.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties, Consumer};

/// Runs until it is dropped.
pub(crate) struct Broker {
    script: Child,
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/rabbitmq.sh"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(script.stdout.take().unwrap()).lines();
        let url = said.next().unwrap().unwrap();
        said.next().unwrap().unwrap();
        let orders = script.stdin.take();
        Self { script, orders, said, url }
    }

    /// `kill` or `start`; waits until it is done.
    pub(crate) fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        assert!(self.said.next().unwrap().unwrap().starts_with(order));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.script.wait();
    }
}

/// A consumer with a durable queue of its own. The connection has to be kept.
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

/// A consumer of a queue that is there.
pub(crate) async fn consume(connection: &Connection, queue: &str) -> Consumer {
    let channel = connection.create_channel().await.unwrap();
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    channel.basic_consume(queue.into(), "".into(), options, none).await.unwrap()
}

pub(crate) async fn next(consumer: &mut Consumer) -> Delivery {
    let next = tokio::time::timeout(Duration::from_secs(30), consumer.next());
    next.await.unwrap_or_else(|_| panic!("nothing came in 30 s")).unwrap().unwrap()
}
