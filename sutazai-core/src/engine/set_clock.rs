//! Notices that somebody set the clock, and holds back the reaping of expired leases until their holders have renewed them.
//!
//! A lease is a time of the wall clock, because processes share nothing else that lasts. When that clock is set forward, every
//! lease seems to have run out at once, also those of attempts that run. The wall clock has jumped when it moved further than
//! the steady reading did since the last look. From then on every living process renews its leases by the new time within
//! a heartbeat, so whoever waits for a whole lease, measured steadily, reaps only what nobody holds.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::claimer::POLL;
use crate::ports::Clock;

/// Compares the two readings of a clock from look to look.
#[derive(Debug)]
pub(super) struct ClockWatch {
    now: DateTime<Utc>,
    steady: Duration,
    lease: Duration,
    /// By the steady reading: until then nothing is reaped.
    hold_until: Duration,
}

impl ClockWatch {
    /// Begins to watch; leases last this long.
    pub(super) fn new(clock: &dyn Clock, lease: Duration) -> Self {
        Self { now: clock.now(), steady: clock.steady(), lease, hold_until: Duration::ZERO }
    }

    /// Whether leases that have run out may be reaped now.
    pub(super) fn allows_reaping(&mut self, clock: &dyn Clock) -> bool {
        let (now, steady) = (clock.now(), clock.steady());
        let passed = TimeDelta::from_std(steady.saturating_sub(self.steady)).unwrap_or(TimeDelta::MAX);
        let jumped = (now - self.now).checked_sub(&passed).and_then(|ahead| ahead.to_std().ok());
        (self.now, self.steady) = (now, steady);
        // Heartbeats leave a lease more than a tenth of its length to spare.
        if let Some(ahead) = jumped.filter(|ahead| *ahead > self.lease / 10) {
            tracing::warn!(
                seconds = ahead.as_secs_f64(),
                "clock set forward; expired leases are not reaped for now"
            );
            // Other processes may notice one poll later, where the time comes from the database.
            self.hold_until = steady.saturating_add(self.lease).saturating_add(POLL);
        }
        steady >= self.hold_until
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[test]
    fn reaping_is_held_back_for_a_lease_after_a_jump_forward_only() {
        let (clock, lease) = (ManualClock::new(), Duration::from_secs(10));
        let mut watch = ClockWatch::new(&clock, lease);
        clock.advance(Duration::from_secs(3_600));
        assert!(watch.allows_reaping(&clock), "time that passes is no jump");
        clock.set_by(TimeDelta::milliseconds(900));
        assert!(watch.allows_reaping(&clock), "less than leases have to spare");
        clock.set_by(TimeDelta::days(-2));
        assert!(watch.allows_reaping(&clock));
        clock.set_by(TimeDelta::seconds(2));
        assert!(!watch.allows_reaping(&clock));
        clock.advance(lease + POLL - Duration::from_millis(1));
        assert!(!watch.allows_reaping(&clock));
        clock.advance(Duration::from_millis(1));
        assert!(watch.allows_reaping(&clock));
    }
}
