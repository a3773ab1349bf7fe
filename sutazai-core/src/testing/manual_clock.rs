//! A clock that stands still until it is told to go on.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeZone, Utc};
use tokio::sync::watch;

use crate::ports::Clock;

/// A clock for tests: `sleep` ends when [`advance`](Self::advance) has carried it far enough.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<DateTime<Utc>>,
    order: Mutex<()>,
}

impl ManualClock {
    /// Stands at 2026-01-01 00:00:00 UTC.
    pub fn new() -> Self {
        let start = Utc.timestamp_opt(1_767_225_600, 0).single().unwrap_or_default();
        Self { now: watch::Sender::new(start), order: Mutex::new(()) }
    }

    /// Goes on by so much and wakes the sleepers whose time has come.
    pub fn advance(&self, by: Duration) {
        let _in_turn = self.order.lock();
        let next = *self.now.borrow() + by;
        self.now.send_replace(next);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        let mut now = self.now.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail while somebody sleeps.
        let _ = now.wait_for(|now| *now >= until).await;
    }
}
