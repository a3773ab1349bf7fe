//! Conformance suite of the port [`MessageBus`].

use std::sync::Arc;

use futures::future::join_all;

use crate::domain::{BusMessage, TraceContext};
use crate::ports::MessageBus;

/// Runs every check of the contract; `next_message` returns the next message whose topic begins with `topic`, from a
/// subscription made before.
pub async fn run_all<B: MessageBus + ?Sized>(
    bus: Arc<B>,
    topic: &str,
    mut next_message: impl AsyncFnMut() -> BusMessage,
) {
    subscriber_receives_messages_in_order(&*bus, topic, &mut next_message).await;
    unroutable_message_does_not_block_others(&*bus, topic, &mut next_message).await;
    concurrent_messages_are_all_delivered(&*bus, topic, &mut next_message).await;
    bus.ping().await.unwrap();
}

/// Published messages reach their subscribers unchanged and in order.
pub async fn subscriber_receives_messages_in_order<B: MessageBus + ?Sized>(
    bus: &B,
    topic: &str,
    next_message: &mut impl AsyncFnMut() -> BusMessage,
) {
    let mut said: Vec<BusMessage> = (0..200).map(|n| message(topic, n)).collect();
    said[7].trace = TraceContext::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    said[9].body = format!("{{\"text\":\"{}\"}}", "grüezi \u{10ffff} ".repeat(20_000));
    assert!(said[7].trace.is_some());
    for some in said.chunks(90) {
        bus.publish(some).await.unwrap();
    }
    bus.publish(&[]).await.unwrap();
    for expected in said {
        assert_eq!(next_message().await, expected);
    }
}

/// An unroutable message does not block later ones.
pub async fn unroutable_message_does_not_block_others<B: MessageBus + ?Sized>(
    bus: &B,
    topic: &str,
    next_message: &mut impl AsyncFnMut() -> BusMessage,
) {
    let expected = [message(topic, 1), message(topic, 2)];
    let unroutable = message("nobody.listens", 0);
    bus.publish(&[expected[0].clone(), unroutable.clone(), expected[1].clone()]).await.unwrap();
    for expected in expected {
        let mut received = next_message().await;
        if received == unroutable {
            received = next_message().await;
        }
        assert_eq!(received, expected);
    }
}

/// Messages of concurrent calls are all delivered, each call's in its order.
pub async fn concurrent_messages_are_all_delivered<B: MessageBus + ?Sized>(
    bus: &B,
    topic: &str,
    next_message: &mut impl AsyncFnMut() -> BusMessage,
) {
    let calls: Vec<Vec<BusMessage>> =
        (0..8).map(|call| (0..20).map(|n| message(&format!("{topic}.{call}"), n)).collect()).collect();
    let published = join_all(calls.iter().map(|call| bus.publish(call))).await;
    assert!(published.iter().all(Result::is_ok), "{published:?}");
    let mut next = [0; 8];
    for _ in 0..160 {
        let received = next_message().await;
        let call: usize = received.topic.rsplit('.').nth(1).unwrap().parse().unwrap();
        assert_eq!(received, calls[call][next[call]]);
        next[call] += 1;
    }
}

fn message(topic: &str, number: u32) -> BusMessage {
    BusMessage {
        id: format!("{topic}:{number}"),
        topic: format!("{topic}.{number}"),
        body: format!("{{\"number\":{number}}}"),
        trace: None,
    }
}
