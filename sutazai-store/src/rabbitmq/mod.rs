//! Message bus over RabbitMQ, which delivers events to other programs.
//!
//! - `connection`: one connection, reopened when it was lost, and the exchanges,
//! - `message_bus`: publishing with publisher confirms,
//! - `tls`: connections over TLS.

mod connection;
mod message_bus;
mod tls;

pub use message_bus::RabbitMqMessageBus;
