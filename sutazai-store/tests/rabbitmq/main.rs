//! `RabbitMqMessageBus` and the relay over it, with a real broker that is killed and started again.

#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on says so by ending

mod broker;
#[path = "../fixtures/certificates.rs"]
mod certificates;
mod conformance;
mod restarts;
mod tls;

use std::time::Duration;

/// Upper bound that only a hang exceeds, even on a busy machine; not a measurement.
pub(crate) const HANG_LIMIT: Duration = Duration::from_secs(60);
