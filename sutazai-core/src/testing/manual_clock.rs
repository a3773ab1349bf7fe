//! Clock for tests whose time changes only when it is advanced.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use tokio::sync::watch;

use crate::ports::Clock;

/// A clock for tests: `sleep` ends once [`advance`](Self::advance) has moved it far enough.
#[derive(Debug)]
pub struct ManualClock {
    reading: watch::Sender<Reading>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    now: DateTime<Utc>,
    monotonic: Duration,
}

impl ManualClock {
    /// Creates a clock at 2026-01-01 00:00:00 UTC.
    pub fn new() -> Self {
        let now = Utc.timestamp_opt(1_767_225_600, 0).single().unwrap_or_default();
        Self { reading: watch::Sender::new(Reading { now, monotonic: Duration::ZERO }) }
    }

    /// Advances both readings and wakes the sleepers that are due.
    pub fn advance(&self, by: Duration) {
        self.reading.send_modify(|reading| {
            reading.now += by;
            reading.monotonic += by;
        });
    }

    /// Sets `now` forward or back without advancing the monotonic reading, as an administrator or a time service does.
    pub fn set_by(&self, by: TimeDelta) {
        self.reading.send_modify(|reading| reading.now += by);
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
        self.reading.borrow().now
    }

    fn monotonic(&self) -> Duration {
        self.reading.borrow().monotonic
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.monotonic() + duration;
        let mut reading = self.reading.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail while a caller sleeps.
        let _ = reading.wait_for(|reading| reading.monotonic >= until).await;
    }
}
