//! [`MessageBus`] over RabbitMQ: persistent messages to a topic exchange, with publisher confirms.
//!
//! One call publishes at a time, so that its messages stay together. Within a call all messages are sent
//! before the first confirm is awaited: waiting for each would cost a round trip and a sync of the broker's
//! disk per message. After a failure the next call connects again; how long to wait before that is up to the
//! caller.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};
use sutazai_core::domain::BusMessage;
use sutazai_core::ports::MessageBus;
use sutazai_core::{Error, Result};
use tokio::sync::Mutex;

use super::connection::{Broker, EVENTS, Open, unavailable};

/// Timeout for the confirms of one call: the broker writes the messages to disk first.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(9);
/// Delivery mode of persistent messages in AMQP 0-9-1.
const PERSISTENT: u8 = 2;

/// Message bus that publishes to the exchange `sutazai.events` of a RabbitMQ.
pub struct RabbitMqMessageBus {
    broker: Broker,
    open: Mutex<Option<Open>>,
}

impl RabbitMqMessageBus {
    /// Creates a bus for the broker at `amqp://user:password@host:5672/vhost`, or at
    /// `amqps://user:password@host:5671/vhost` over TLS, which need not be running yet. `?cacertfile=PATH`
    /// names the root certificates that verify its certificate; the default are the system's.
    ///
    /// # Errors
    /// `InvalidInput` naming `RABBITMQ_URL` for an address that cannot be parsed, or a file without
    /// certificates.
    pub fn at(url: &str) -> Result<Self> {
        Ok(Self { broker: Broker::at(url)?, open: Mutex::default() })
    }
}

#[async_trait]
impl MessageBus for RabbitMqMessageBus {
    async fn publish(&self, messages: &[BusMessage]) -> Result<()> {
        let mut open = self.open.lock().await;
        // Taken out of the slot: if this call is cancelled, the connection is dropped and its unconfirmed
        // messages with it.
        let connected = match open.take().filter(Open::is_open) {
            Some(connected) => connected,
            None => Open::to(&self.broker).await?,
        };
        match tokio::time::timeout(CONFIRM_TIMEOUT, publish(&connected, messages)).await {
            Ok(published) => published?,
            Err(_) => return Err(Error::unavailable("RabbitMQ did not confirm in time")),
        }
        *open = Some(connected);
        Ok(())
    }

    async fn ping(&self) -> Result<()> {
        let mut open = self.open.lock().await;
        if !open.as_ref().is_some_and(Open::is_open) {
            *open = None;
            *open = Some(Open::to(&self.broker).await?);
        }
        Ok(())
    }
}

impl fmt::Debug for RabbitMqMessageBus {
    /// Prints no address, which contains a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RabbitMqMessageBus")
    }
}

async fn publish(to: &Open, messages: &[BusMessage]) -> Result<()> {
    let mut confirms = Vec::with_capacity(messages.len());
    for message in messages {
        let (exchange, topic) = (EVENTS.into(), message.topic.as_str().into());
        let (body, options) = (message.body.as_bytes(), BasicPublishOptions::default());
        let sent = to.channel.basic_publish(exchange, topic, options, body, properties(message)).await;
        confirms.push(sent.map_err(|e| unavailable(&e))?);
    }
    for confirmed in try_join_all(confirms).await.map_err(|e| unavailable(&e))? {
        if !matches!(confirmed, Confirmation::Ack(_)) {
            return Err(Error::unavailable("RabbitMQ rejected a message"));
        }
    }
    Ok(())
}

fn properties(message: &BusMessage) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_content_type("application/json".into())
        .with_app_id("sutazai".into())
        .with_message_id(message.id.as_str().into());
    match &message.trace {
        None => properties,
        Some(trace) => {
            let mut headers = FieldTable::default();
            // A task row may store more after the `traceparent`, which is not meant for other programs.
            let written = trace.to_string();
            let place = written.split(' ').next().unwrap_or_default();
            headers.insert("traceparent".into(), AMQPValue::LongString(place.into()));
            properties.with_headers(headers)
        }
    }
}
