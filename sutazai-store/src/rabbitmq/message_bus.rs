//! [`MessageBus`] over RabbitMQ: persistent messages to a topic exchange, done when the broker has confirmed all of them.
//!
//! One call publishes at a time, so that its messages stay together; within a call nothing is waited for until the last
//! message is on its way. After a failure the connection is made anew by the next call: how long to wait before that is for
//! the caller to say.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};
use sutazai_core::ports::{BusMessage, MessageBus};
use sutazai_core::{Error, Result};
use tokio::sync::Mutex;

use super::connection::{Broker, EVENTS, Open, unavailable};

/// How long the broker may take to confirm what one call publishes: it writes to disk first.
const LIMIT: Duration = Duration::from_secs(9);
/// Persistent, in AMQP's words.
const PERSISTENT: u8 = 2;

/// Publishes to the exchange `sutazai.events` of a RabbitMQ.
pub struct RabbitMqMessageBus {
    broker: Broker,
    open: Mutex<Option<Open>>,
}

impl RabbitMqMessageBus {
    /// The broker at `amqp://user:password@host:5672/vhost`, or at `amqps://user:password@host:5671/vhost` over TLS, which
    /// need not be there yet. `?cacertfile=PATH` names the roots that its certificate is checked against; without it they
    /// are the system's.
    ///
    /// # Errors
    /// `InvalidInput` naming `RABBITMQ_URL` for an address that cannot be understood, or a file that holds no certificates.
    pub fn at(url: &str) -> Result<Self> {
        Ok(Self { broker: Broker::at(url)?, open: Mutex::default() })
    }
}

#[async_trait]
impl MessageBus for RabbitMqMessageBus {
    async fn publish(&self, messages: &[BusMessage]) -> Result<()> {
        let mut open = self.open.lock().await;
        // Taken out: if this is cut off in the middle, the connection goes with it.
        let standing = match open.take().filter(Open::stands) {
            Some(standing) => standing,
            None => Open::to(&self.broker).await?,
        };
        match tokio::time::timeout(LIMIT, publish(&standing, messages)).await {
            Ok(published) => published?,
            Err(_) => return Err(Error::unavailable("RabbitMQ did not confirm in time")),
        }
        *open = Some(standing);
        Ok(())
    }

    async fn reach(&self) -> Result<()> {
        let mut open = self.open.lock().await;
        if !open.as_ref().is_some_and(Open::stands) {
            *open = None;
            *open = Some(Open::to(&self.broker).await?);
        }
        Ok(())
    }
}

impl fmt::Debug for RabbitMqMessageBus {
    /// Without the address, which holds a password.
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
            return Err(Error::unavailable("RabbitMQ did not take a message"));
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
            // What may stand behind it is for our own rows.
            let written = trace.to_string();
            let place = written.split(' ').next().unwrap_or_default();
            headers.insert("traceparent".into(), AMQPValue::LongString(place.into()));
            properties.with_headers(headers)
        }
    }
}
