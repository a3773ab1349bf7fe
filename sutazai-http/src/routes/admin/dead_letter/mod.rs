//! Dead letter: failed tasks of all users.

pub(crate) mod list;
pub(crate) mod retry;
pub(crate) mod retry_all;
