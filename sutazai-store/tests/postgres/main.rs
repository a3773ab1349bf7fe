//! The PostgreSQL store from outside, against a server of the tests' own: the suites of its ports, its migrations, many
//! writers at once, killed processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

mod conformance;
mod killed;
mod migrations;
mod opening;
mod place;
mod reads;
mod several;
mod texts;
