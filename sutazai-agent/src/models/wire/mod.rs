//! How streamed answers lie on the wire: lines, one JSON document each (Ollama), or server-sent events (OpenAI).
//!
//! Pieces of a body may be cut anywhere, also within a character. Nothing here keeps more than one line of at most
//! [`LINE_LIMIT`](lines::LINE_LIMIT) bytes and one piece of the body.

mod decoder;
#[cfg(all(test, feature = "ollama", feature = "openai"))]
mod fuzz;
mod json;
mod lines;
#[cfg(feature = "ollama")]
mod ndjson;
#[cfg(feature = "openai")]
mod sse;

pub(super) use decoder::decode;
pub(super) use json::read_json;
#[cfg(feature = "ollama")]
pub(super) use ndjson::NdjsonDecoder;
#[cfg(feature = "openai")]
pub(super) use sse::SseDecoder;
