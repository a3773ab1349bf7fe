//! Token bucket that bounds how often one connection can query the database.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// Maximum number of tokens: a burst of twice as many requests as a connection may have subscriptions.
const CAPACITY: i32 = 64;
/// Time in which one token is added.
const REFILL_INTERVAL: TimeDelta = TimeDelta::milliseconds(250);

/// Token bucket, implemented as the generic cell rate algorithm (ITU-T I.371): a single instant replaces the number
/// of tokens and the time of their last update.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    /// Time at which the bucket is full again.
    full_at: DateTime<Utc>,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self { full_at: now }
    }

    /// Takes one token from the bucket.
    ///
    /// # Errors
    /// Returns the time until a token is available.
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
    fn bucket_allows_a_burst_then_four_requests_per_second() {
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
