//! `RabbitMqMessageBus` against the suite of its port, and what consumers see of a message.

use std::sync::Arc;

use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::types::AMQPValue;
use sutazai_core::ErrorKind;
use sutazai_core::domain::TraceContext;
use sutazai_core::ports::{BusMessage, MessageBus};
use sutazai_core::testing::message_bus;
use sutazai_store::rabbitmq::RabbitMqMessageBus;

use crate::broker::{Broker, consume, listen, next};

fn heard(delivery: &Delivery) -> BusMessage {
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
async fn the_message_bus_conforms_and_refused_messages_are_kept() {
    let broker = Broker::start();
    let bus = Arc::new(RabbitMqMessageBus::at(&broker.url).unwrap());
    bus.reach().await.unwrap();
    let (connection, mut consumer) = listen(&broker, "suite", "suite.#").await;
    let hear = async || {
        let delivery = next(&mut consumer).await;
        delivery.ack(BasicAckOptions::default()).await.unwrap();
        heard(&delivery)
    };
    message_bus::run_all(bus.clone(), "suite", hear).await;

    // What a consumer refuses for good goes to the dead letters, with where it came from.
    let mut dead = consume(&connection, "sutazai.dead-letters").await;
    let said = BusMessage { id: "a:1".into(), topic: "suite.bad".into(), body: "{}".into(), trace: None };
    bus.publish(&[said.clone()]).await.unwrap();
    let delivery = next(&mut consumer).await;
    assert_eq!(*delivery.properties.delivery_mode(), Some(2));
    assert_eq!(delivery.properties.content_type().as_ref().unwrap().as_str(), "application/json");
    delivery.reject(BasicRejectOptions { requeue: false }).await.unwrap();
    let kept = next(&mut dead).await;
    assert_eq!(heard(&kept), said);
    assert!(format!("{:?}", kept.properties.headers()).contains("x-death"), "{:?}", kept.properties);
}

#[tokio::test]
async fn a_bad_address_names_the_setting_and_one_that_is_away_shows_no_password() {
    let e = RabbitMqMessageBus::at("localhost:5672").unwrap_err();
    assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("RABBITMQ_URL")));
    let bus = RabbitMqMessageBus::at("amqp://me:correct-horse@127.0.0.1:1/%2f").unwrap();
    let e = bus.reach().await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable);
    assert!(!format!("{e:?} {e} {bus:?}").contains("horse"), "{e:?}");
}
