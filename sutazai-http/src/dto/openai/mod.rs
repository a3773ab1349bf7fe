//! OpenAI's protocol (platform.openai.com/docs/api-reference) as far as the gateway speaks it.

pub(crate) mod chat;
pub(crate) mod completion;
pub(crate) mod embedding;
pub(crate) mod error;
pub(crate) mod model;
mod texts;
