//! Streaming: shared parts of server-sent event streams and WebSockets, and the protocol of the WebSocket.
//!
//! * `disconnect_signal`: signals when a stream must end, whoever reads it,
//! * `resume`: determines where a stream resumes after a disconnect,
//! * `reader`: reads a stream independently of how fast its client reads,
//! * `streams`: bounds the concurrent streams of one user,
//! * `snapshots`: measures the machine once for all streams of snapshots,
//! * `request_limit`: bounds how often a WebSocket can cause database queries,
//! * `message`: JSON messages of a WebSocket,
//! * `connection`: one WebSocket from its opening to its close.

pub(crate) mod connection;
pub(crate) mod disconnect_signal;
pub(crate) mod message;
pub(crate) mod reader;
mod request_limit;
pub(crate) mod resume;
pub(crate) mod snapshots;
pub(crate) mod streams;
