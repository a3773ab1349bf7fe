//! Messages of a real server over RabbitMQ, and a queue that works without it.

use std::time::{Duration, Instant};

use futures::StreamExt;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Consumer};
use reqwest::Client;
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};

use crate::broker::Broker;
use crate::postgres_server::Postgres;
use crate::support::HANG_LIMIT;
use crate::support::{Place, Server};

/// Consumes the completed tasks of the hardware-optimizer from a durable queue. The connection must be kept.
async fn listen(url: &str) -> (Connection, Consumer) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare("ours".into(), durable, FieldTable::default()).await.unwrap();
    let (exchange, topic) = ("sutazai.events".into(), "task.hardware-optimizer.completed".into());
    let options = QueueBindOptions::default();
    channel.queue_bind("ours".into(), exchange, topic, options, FieldTable::default()).await.unwrap();
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume("ours".into(), "".into(), options, none).await.unwrap();
    (connection, consumer)
}

/// Receives messages until there was one about each of these tasks; returns the last message.
async fn receive(consumer: &mut Consumer, mut ids: Vec<String>) -> Value {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(60), consumer.next());
        let delivery =
            next.await.unwrap_or_else(|_| panic!("no message was received about {ids:?}")).unwrap().unwrap();
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        let body: Value = serde_json::from_slice(&delivery.data).unwrap();
        ids.retain(|id| body["task_id"] != id.as_str());
        if ids.is_empty() {
            return body;
        }
    }
}

async fn submit(server: &Server) -> String {
    let body = json!({ "agent": "hardware-optimizer", "payload": { "use_model": false } });
    let answer = Client::new().post(server.url("/api/v1/tasks")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    answer.json::<Value>().await.unwrap()["data"]["id"].as_str().unwrap().to_owned()
}

async fn bus_is(server: &Server, status: &str) {
    let begun = Instant::now();
    loop {
        let answer = Client::new().get(server.url("/health/ready")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let report = answer.json::<Value>().await.unwrap()["data"].take();
        let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "rabbitmq");
        if check.unwrap()["status"] == status {
            return;
        }
        assert!(begun.elapsed() < HANG_LIMIT, "{report}");
        SystemClock.sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completed_tasks_are_published_even_after_an_outage_of_the_broker() {
    let (place, postgres, mut broker) = (Place::new(), Postgres::start(), Broker::start());
    let settings = |workers: &str| {
        let more = [("RABBITMQ_URL", broker.url.as_str()), ("WORKERS", workers)];
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        postgres.settings(&place).into_iter().chain(more).collect::<Vec<_>>()
    };
    let mut server = Server::start(&place, &settings("0"));
    bus_is(&server, "healthy").await;
    let _worker = Server::worker(&place, &settings("2"));
    let (connection, mut consumer) = listen(&broker.url).await;
    let id = submit(&server).await;
    let message = receive(&mut consumer, vec![id.clone()]).await;
    assert_eq!(message["id"], format!("{id}:{}", message["sequence"]));
    // The message contains the result of the task, unless that is over 64 KiB.
    let task = Client::new().get(server.url(&format!("/api/v1/tasks/{id}"))).send().await.unwrap();
    let result = task.json::<Value>().await.unwrap()["data"]["result"].take();
    assert!(result["metrics"].is_object(), "{result}");
    let small = result.to_string().len() <= 64 * 1024;
    assert_eq!(message.get("result"), small.then_some(&result));
    assert!(message["trace_id"].is_string() && message["status"] == "completed", "{message}");

    tokio::task::block_in_place(|| broker.order("kill"));
    drop((consumer, connection));
    bus_is(&server, "degraded").await;
    let [id, removed] = [submit(&server).await, submit(&server).await];
    for id in [&id, &removed] {
        let events = server.url(&format!("/api/v1/tasks/{id}/events"));
        let events = Client::new().get(events).send().await.unwrap();
        assert!(events.text().await.unwrap().contains("completed"), "the queue must not wait for the bus");
    }
    let gone = Client::new().delete(server.url(&format!("/api/v1/tasks/{removed}"))).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    tokio::task::block_in_place(|| broker.order("start"));
    bus_is(&server, "healthy").await;
    let (_connection, mut consumer) = listen(&broker.url).await;
    receive(&mut consumer, vec![id, removed]).await;
    let password = broker.url.split(['@', ':']).nth(2).unwrap().to_owned();
    server.signal("TERM");
    server.ended_within(Duration::from_secs(15));
    assert!(!server.log().contains(&password));
}
