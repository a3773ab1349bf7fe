//! Publishes the events of all tasks to a [`MessageBus`](crate::ports::MessageBus), for other programs.
//!
//! The event log doubles as the outbox: its rows are written in the transaction of the change, in one order, and a
//! position tells how far they have been published. A separate outbox row per event would cost a second write and a
//! delete in the hottest transactions. Only if a task is deleted before all its events were published are the messages
//! kept in the table `outbox`.
//!
//! * [`Relay`]: reads, publishes, and only then advances the position,
//! * `reorder_buffer`: reorder buffer for events of one task that are out of order in the event log.
//!
//! [`BusMessage`](crate::domain::BusMessage) gives the format of the messages.

mod reorder_buffer;
mod service;

pub use service::Relay;
