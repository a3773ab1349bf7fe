//! `RabbitMqMessageBus` against the suite of its port, and the properties that consumers see.

use std::sync::Arc;

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::types::AMQPValue;
use sutazai_core::ErrorKind;
use sutazai_core::domain::{BusMessage, TraceContext};
use sutazai_core::ports::MessageBus;
use sutazai_core::testing::message_bus;
use sutazai_store::rabbitmq::RabbitMqMessageBus;

use crate::broker::{Broker, consume, listen, next};

fn received(delivery: &Delivery) -> BusMessage {
    let traceparent =
        delivery.properties.headers().as_ref().and_then(|headers| match headers.inner().get("traceparent") {
            Some(AMQPValue::LongString(text)) => TraceContext::from_traceparent(&text.to_string()),
            _ => None,
        });
    BusMessage {
        id: delivery.properties.message_id().as_ref().unwrap().to_string(),
        topic: delivery.routing_key.to_string(),
        body: String::from_utf8(delivery.data.clone()).unwrap(),
        trace: traceparent,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn message_bus_conforms_and_rejected_messages_are_dead_lettered() {
    let broker = Broker::start();
    let bus = Arc::new(RabbitMqMessageBus::at(&broker.url).unwrap());
    bus.ping().await.unwrap();
    let (connection, mut consumer) = listen(&broker, "suite", "suite.#").await;
    let receive = async || {
        let delivery = next(&mut consumer).await;
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        received(&delivery)
    };
    message_bus::run_all(bus.clone(), "suite", receive).await;

    // A message that a consumer rejects for good is kept as a dead letter, with its origin.
    let mut dead = consume(&connection, "sutazai.dead-letters").await;
    let message = BusMessage { id: "a:1".into(), topic: "suite.bad".into(), body: "{}".into(), trace: None };
    bus.publish(std::slice::from_ref(&message)).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(*delivery.properties.delivery_mode(), Some(2));
    assert_eq!(delivery.properties.content_type().as_ref().unwrap().as_str(), "application/json");
    delivery.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    let kept = next(&mut dead).await;
    assert_eq!(received(&kept), message);
    assert!(format!("{:?}", kept.properties.headers()).contains("x-death"), "{:?}", kept.properties);
}

#[tokio::test]
async fn invalid_address_names_the_setting_and_errors_show_no_password() {
    let e = RabbitMqMessageBus::at("localhost:5672").unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("RABBITMQ_URL")));
    let bus = RabbitMqMessageBus::at("amqp://me:correct-horse@127.0.0.1:1/%2f").unwrap();
    let e = bus.ping().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(!format!("{e:?} {e} {bus:?}").contains("horse"), "{e:?}");
}
