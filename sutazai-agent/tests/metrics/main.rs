//! The sources of metrics held against the truth: psutil, `docker stats`, `/sys/fs/cgroup`.
//!
//! Docker needs root and the packages of `scripts/install.sh test`. What is started here is ended here, also when a
//! test fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a test that cannot go on says so by ending

mod cgroup;
mod conformance;
mod containers;
mod engine;
mod engine_faults;
mod host;
mod load;
mod missing;
mod network;
mod pressure;
mod psutil;
mod swap;

/// Who loads the machine reads it, who measures the whole of it writes.
static MACHINE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());
