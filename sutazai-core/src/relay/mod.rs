//! Passes the events of all tasks on to a [`MessageBus`](crate::ports::MessageBus), so that other programs hear of them.
//!
//! What waits to be passed on needs no table of its own: the feed is one already. Its rows are written in the transaction
//! of the change, in one order, and only a position says how far they have been passed on. So a task costs nothing more
//! than it did, and what is not on the bus yet is whatever stands after the position. Only of a task that is removed before
//! all its events were passed on the messages are kept, in the outbox.
//!
//! * [`Relay`]: reads, publishes, and only then moves the position,
//! * `order`: the few events of one task that stand in the feed the other way round,
//! * [`message`](fn@message): an event as a message.

mod message;
mod order;
mod service;

pub use message::message;
pub use service::Relay;
