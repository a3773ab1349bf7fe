//! Wire formats of streamed answers: one JSON document a line (Ollama), or server-sent events (OpenAI).
//!
//! Chunks of a body may be cut anywhere, even within a character. A decoder holds at most one line or event of up to
//! [`LINE_LIMIT`](lines::LINE_LIMIT) bytes and one chunk of the body.

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
