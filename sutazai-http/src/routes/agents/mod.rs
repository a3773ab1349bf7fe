//! Agents of this server, the hardware analysis as one call, and its rules.

pub(crate) mod analyze;
pub(crate) mod list;
pub(crate) mod rules;
