//! Commands of the binary, one file each. `main.rs` parses the command line and calls them.

pub(crate) mod admin;
pub(crate) mod analyze;
pub(crate) mod arguments;
mod browser;
pub(crate) mod config;
mod descriptors;
pub(crate) mod exit;
mod first_run;
mod json_lines;
pub(crate) mod logging;
pub(crate) mod migrate;
pub(crate) mod models;
pub(crate) mod openapi;
mod output;
pub(crate) mod printable;
mod private_memory;
pub(crate) mod progress;
mod report;
pub(crate) mod serve;
mod service;
pub(crate) mod worker;
