//! Answers that last: what streams of server-sent events and WebSockets have in common, and what a WebSocket says.
//!
//! * `ending`: when one has to end, whoever reads it,
//! * `resume`: where one goes on after it was cut off,
//! * `reader`: streams that are read whether or not the client takes what they give,
//! * `streams`: how many one user follows at once,
//! * `token_bucket`: how often a WebSocket may have the database asked,
//! * `message`: the JSON of a WebSocket's messages,
//! * `connection`: one WebSocket from its opening to its close.

pub(crate) mod connection;
pub(crate) mod ending;
pub(crate) mod message;
pub(crate) mod reader;
pub(crate) mod resume;
pub(crate) mod streams;
mod token_bucket;
