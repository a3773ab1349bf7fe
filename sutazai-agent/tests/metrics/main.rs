//! Metric sources compared with reference programs: psutil, `docker stats`, `/sys/fs/cgroup`.
//!
//! Docker needs root and the packages of `scripts/install.sh test`. Everything that a test starts is stopped again,
//! even if the test fails.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a failing test panics

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

/// Tests that load the machine take a read lock, those that measure all of it take the write lock.
static MACHINE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());
