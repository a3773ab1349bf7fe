//! Tasks that have failed for good, of everybody.

pub(crate) mod list;
pub(crate) mod retry;
pub(crate) mod retry_all;
