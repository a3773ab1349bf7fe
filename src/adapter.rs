//! Items that only adapters and the programs of this package need; a program that runs agents and submits tasks needs
//! none of them.
//!
//! They are those of [`sutazai_core::adapter`], and the descriptions of the settings, from which the `sutazai` program
//! makes its help and its lists.

pub use sutazai_core::adapter::*;

#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "host-metrics"))]
pub use crate::config::settings::{
    Fallback, Group, Setting, Values, flag_help, markdown, setting_named, settings,
};
#[cfg(all(any(feature = "sqlite", feature = "postgres"), feature = "host-metrics"))]
pub use crate::setup::shared::check_shared;
