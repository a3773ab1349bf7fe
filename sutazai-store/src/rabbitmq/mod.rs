//! Events on their way to other programs, over a RabbitMQ.
//!
//! * `connection`: one connection, made again when it was lost; the exchanges,
//! * `message_bus`: messages with publisher confirms,
//! * `tls`: connections over TLS.

mod connection;
mod message_bus;
mod tls;

pub use message_bus::RabbitMqMessageBus;
