//! Agents of this server, and the hardware analysis as one call.

pub(crate) mod analyze;
pub(crate) mod list;
