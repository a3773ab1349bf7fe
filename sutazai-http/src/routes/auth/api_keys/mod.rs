//! API keys of the caller.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
