//! Event log: events of all tasks of the caller, as a stream or over a WebSocket.

pub(crate) mod stream;
pub(crate) mod web_socket;
