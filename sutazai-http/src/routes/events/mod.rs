//! Events of all tasks of the caller, as a stream or over a WebSocket.

pub(crate) mod socket;
pub(crate) mod stream;
