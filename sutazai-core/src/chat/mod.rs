//! Chat: stored conversations with a model.
//!
//! * `answer`: records one answer while it is streamed,
//! * `history`: selects the messages that the model is shown,
//! * `service`: operations of callers on their conversations.

mod answer;
mod history;
mod service;

pub use answer::{Answer, ChatEvent};
pub use service::Chat;
