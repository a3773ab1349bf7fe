//! Conversations of users with a model.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod say;
pub(crate) mod show;
