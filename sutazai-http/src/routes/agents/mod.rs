//! What can do tasks.

pub(crate) mod analyze;
pub(crate) mod list;
