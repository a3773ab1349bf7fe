//! Whether the server is alive, and whether it can do its work.

pub(crate) mod ready;
pub(crate) mod show;
