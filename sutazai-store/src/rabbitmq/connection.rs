//! One connection with one channel, and the exchanges that it declares.

use std::time::Duration;

use lapin::options::{ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use sutazai_core::{Error, Result};

use super::tls::Tls;

/// Exchange of all messages; consumers bind queues to it by the topics that they want.
pub(super) const EVENTS: &str = "sutazai.events";
/// Exchange for messages that consumers reject, and the queue that keeps them.
const DEAD_LETTERS: &str = "sutazai.dead-letters";
/// Timeout of connecting and declaring the exchanges.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);

/// Address of the broker and its TLS configuration.
#[derive(Clone)]
pub(super) struct Broker {
    uri: AMQPUri,
    /// TLS configuration; `None` for a plain connection.
    tls: Option<Tls>,
}

impl Broker {
    /// Parses the address and reads the certificates that it names.
    ///
    /// # Errors
    /// `InvalidInput` naming `RABBITMQ_URL`.
    pub(super) fn at(url: &str) -> Result<Self> {
        let wanted = "expected an address such as amqp://user:password@127.0.0.1:5672/%2f";
        let uri: AMQPUri = url.parse().map_err(|_| Error::invalid("RABBITMQ_URL", wanted))?;
        let tls = Tls::of(&uri, url)?;
        Ok(Self { uri, tls })
    }

    async fn connect(&self) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name("sutazai".into());
        match &self.tls {
            None => Connection::connect_uri(self.uri.clone(), properties).await,
            Some(tls) => tls.connect(self.uri.clone(), properties).await,
        }
    }
}

/// An open channel with publisher confirms. The connection is closed when this is dropped.
pub(super) struct Open {
    connection: Connection,
    pub(super) channel: Channel,
}

impl Open {
    /// Connects and declares the exchanges.
    ///
    /// # Errors
    /// `Unavailable` when that fails or takes more than 5 s.
    pub(super) async fn to(broker: &Broker) -> Result<Self> {
        match tokio::time::timeout(OPEN_TIMEOUT, open(broker)).await {
            Ok(opened) => opened.map_err(|e| unavailable(&e)),
            Err(_) => Err(Error::unavailable("RabbitMQ did not answer in time")),
        }
    }

    /// Returns whether connection and channel are still open, as far as the client knows.
    pub(super) fn is_open(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }
}

/// Translates an error of the library, whose text contains no address.
pub(super) fn unavailable(e: &lapin::Error) -> Error {
    Error::unavailable(format!("RabbitMQ: {e}"))
}

async fn open(broker: &Broker) -> lapin::Result<Open> {
    let connection = broker.connect().await?;
    let channel = connection.create_channel().await?;
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    for exchange in [EVENTS, DEAD_LETTERS] {
        let none = FieldTable::default();
        channel.exchange_declare(exchange.into(), ExchangeKind::Topic, durable, none).await?;
    }
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(DEAD_LETTERS.into(), durable, FieldTable::default()).await?;
    let (queue, exchange, all) = (DEAD_LETTERS.into(), DEAD_LETTERS.into(), "#".into());
    channel.queue_bind(queue, exchange, all, QueueBindOptions::default(), FieldTable::default()).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(Open { connection, channel })
}
