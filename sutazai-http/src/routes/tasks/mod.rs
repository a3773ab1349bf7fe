//! Tasks: asking for them, following them, stopping them.

pub(crate) mod cancel;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod retry;
pub(crate) mod show;
