//! Events on their way to other programs, over a RabbitMQ.
//!
//! * `connection`: one connection, made again when it was lost; the exchanges,
//! * `message_bus`: messages with publisher confirms.

mod connection;
mod message_bus;

pub use message_bus::RabbitMqMessageBus;
