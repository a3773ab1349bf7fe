//! The PostgreSQL store from outside, against a server for these tests: the suites of its ports, its
//! migrations, and concurrent writers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot go on says so by ending

mod conformance;
mod damaged;
#[path = "../fixtures/faketime.rs"]
mod faketime;
#[path = "../fixtures/damaged.rs"]
mod fixture;
mod migrations;
mod network;
mod opening;
mod place;
mod pooled;
mod pooler;
mod proxy;
mod reads;
mod several;
mod skewed;
mod texts;

use std::time::Duration;

/// Upper bound that only a hang exceeds, even on a busy machine; not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);
