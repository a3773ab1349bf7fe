//! A token bucket: how often one connection may have the database asked.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Requests at once, from a connection that has asked nothing for a while: twice what it can subscribe to.
const CAPACITY: i32 = 64;
/// Time in which one more becomes possible.
const REFILL_INTERVAL: TimeDelta = TimeDelta::milliseconds(250);

/// The generic cell rate algorithm (ITU-T I.371): one instant instead of a number of tokens and the time of their count.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// When the bucket is full again.
    full_at: DateTime<Utc>,
}

impl TokenBucket {
    /// A full one.
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self { full_at: now }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// The time until there is one.
    pub(crate) fn take(&mut self, now: DateTime<Utc>) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + REFILL_INTERVAL;
        let wait = full_at - now - REFILL_INTERVAL * CAPACITY;
        if wait > TimeDelta::zero() {
            return Err(wait.to_std().unwrap_or_default());
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_four_a_second() {
        let now = DateTime::UNIX_EPOCH;
        let mut bucket = TokenBucket::new(now);
        assert!((0..CAPACITY).all(|_| bucket.take(now).is_ok()));
        assert_eq!(bucket.take(now), Err(Duration::from_millis(250)));
        let later = now + TimeDelta::seconds(1);
        assert!((0..4).all(|_| bucket.take(later).is_ok()));
        assert_eq!(bucket.take(later), Err(Duration::from_millis(250)));
        let much_later = now + TimeDelta::hours(1);
        assert_eq!((0..1_000).filter(|_| bucket.take(much_later).is_ok()).count(), CAPACITY as usize);
    }
}
