//! Whether the server is alive.

pub(crate) mod show;
