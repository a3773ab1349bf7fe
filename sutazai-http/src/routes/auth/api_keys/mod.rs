//! The caller's own API keys.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
