//! Invitations that allow one registration each.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
