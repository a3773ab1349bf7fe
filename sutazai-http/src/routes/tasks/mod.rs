//! Tasks: submission, queries, cancellation, retry, deletion and event streams.

pub(crate) mod cancel;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod list;
pub(crate) mod messages;
pub(crate) mod retry;
pub(crate) mod show;
