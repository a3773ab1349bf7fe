//! Chat: conversations with a model that are kept.
//!
//! * `service`: what callers can do with their conversations,
//! * `history`: what of a conversation the model is shown,
//! * `answer`: writes one answer down while it is passed on.

mod answer;
mod history;
mod service;

pub use answer::{Answer, ChatEvent};
pub use service::Chat;
