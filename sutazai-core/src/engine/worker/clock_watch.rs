//! Detects that the wall clock was set, and suspends the reaping of expired leases until their holders have renewed
//! them.
//!
//! The expiry of a lease is wall-clock time, because processes share no other clock that survives a restart. When that
//! clock is set forward, all leases seem to expire at once, including those of running attempts. A jump shows as a
//! difference between the progress of the wall clock and of the monotonic clock since the last check. Within a heartbeat
//! after it every living process renews its leases by the new time, so a process that waits for a whole lease, on the
//! monotonic clock, reaps only abandoned tasks.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::ports::Clock;

/// Compares the wall clock and the monotonic clock from check to check.
#[derive(Debug)]
pub(crate) struct ClockWatch {
    now: DateTime<Utc>,
    monotonic: Duration,
    lease: Duration,
    poll_interval: Duration,
    /// Steady time until which nothing is reaped.
    hold_until: Duration,
}

impl ClockWatch {
    /// Starts watching, for leases of this duration and processes that check at least at this interval.
    pub(crate) fn new(clock: &dyn Clock, lease: Duration, poll_interval: Duration) -> Self {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        Self { now, monotonic, lease, poll_interval, hold_until: Duration::ZERO }
    }

    /// Returns whether expired leases may be reaped now.
    pub(crate) fn allows_reaping(&mut self, clock: &dyn Clock) -> bool {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let passed = TimeDelta::from_std(monotonic.saturating_sub(self.monotonic)).unwrap_or(TimeDelta::MAX);
        let jumped = (now - self.now).checked_sub(&passed).and_then(|ahead| ahead.to_std().ok());
        (self.now, self.monotonic) = (now, monotonic);
        // Heartbeats renew a lease with more than a tenth of its duration to spare, so smaller jumps are harmless.
        if let Some(ahead) = jumped.filter(|ahead| *ahead > self.lease / 10) {
            tracing::warn!(
                seconds = ahead.as_secs_f64(),
                "clock set forward; expired leases are not reaped for now"
            );
            // Other processes may notice one poll later, where the time comes from the database.
            self.hold_until = monotonic.saturating_add(self.lease).saturating_add(self.poll_interval);
        }
        monotonic >= self.hold_until
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn reaping_is_suspended_for_a_lease_after_a_forward_jump() {
        let (clock, lease, poll) = (ManualClock::new(), Duration::from_secs(10), Duration::from_secs(5));
        let mut watch = ClockWatch::new(&clock, lease, poll);
        clock.advance(Duration::from_secs(3_600));
        assert!(watch.allows_reaping(&clock), "time that passes is no jump");
        clock.set_by(TimeDelta::milliseconds(900));
        assert!(watch.allows_reaping(&clock), "less than leases have to spare");
        clock.set_by(TimeDelta::days(-2));
        assert!(watch.allows_reaping(&clock));
        clock.set_by(TimeDelta::seconds(2));
        assert!(!watch.allows_reaping(&clock));
        clock.advance(lease + poll - Duration::from_millis(1));
        assert!(!watch.allows_reaping(&clock));
        clock.advance(Duration::from_millis(1));
        assert!(watch.allows_reaping(&clock));
    }
}
