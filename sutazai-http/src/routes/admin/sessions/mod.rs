//! Somebody's sessions.

pub(crate) mod end;
pub(crate) mod list;
