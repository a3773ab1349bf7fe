//! The models behind this server.

pub(crate) mod list;
pub(crate) mod pull;
