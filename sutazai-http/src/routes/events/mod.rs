//! The events of all the caller's tasks.

pub(crate) mod socket;
pub(crate) mod stream;
