//! When a failed attempt is tried again: exponential backoff with full jitter.
//!
//! The wait before attempt n + 1 is drawn evenly from `0 ..= min(cap, base * 2^n)`, which spreads tasks that failed
//! together (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). At least what the error asks for, of
//! which at most an hour is believed: it may come from a server that is broken.

use std::time::Duration;

use rand::Rng;

use crate::error::Error;

const BASE: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(300);
/// The longest wait that an error may ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// How long to wait after the given number of failures, this one included.
pub(super) fn wait(failures: u32, error: &Error) -> Duration {
    let drawn = rand::rng().random_range(0.0..=ceiling(failures).as_secs_f64());
    Duration::from_secs_f64(drawn).max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER))
}

fn ceiling(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (BASE * 2_u32.pow(doublings)).min(CAP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let seconds: Vec<u64> = [1, 2, 3, 9, 10, 1_000].iter().map(|n| ceiling(*n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn what_the_error_asks_for_is_the_least() {
        let error = Error::unavailable("busy").with_retry_after(Duration::from_secs(77));
        assert!((0..100).all(|_| wait(1, &error) >= Duration::from_secs(77)));
        let error = Error::unavailable("busy").with_retry_after(Duration::MAX);
        assert_eq!(wait(1, &error), MAX_RETRY_AFTER);
        let waits: Vec<_> = (0..100).map(|_| wait(4, &Error::unavailable("x"))).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(8)));
        assert!(waits.iter().max() != waits.iter().min(), "no jitter");
    }
}
