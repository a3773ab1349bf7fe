//! The SQLite store from outside: the suites of its ports, its migrations, a full disk, a killed process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

mod conformance;
mod damaged;
mod disk_full;
mod documents;
#[path = "../fixtures/faketime.rs"]
mod faketime;
#[path = "../fixtures/damaged.rs"]
mod fixture;
mod killed;
mod migrations;
mod opening;
mod place;
mod set_clock;
mod writes;
