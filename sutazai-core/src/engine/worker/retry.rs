//! Retry delay after a failed attempt: exponential backoff with full jitter.
//!
//! The delay before attempt n + 1 is drawn uniformly from `0 ..= min(cap, base * 2^(n - 1))`, which spreads tasks that
//! failed together (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015). It is at least the delay
//! that the error requests, of which at most one hour is honored: the value may come from a broken server.

use std::time::Duration;

use rand::Rng;

use crate::error::{Error, ErrorKind};

const BASE_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(300);
/// Maximum honored delay that an error may request.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// Returns whether another attempt at the task may succeed.
///
/// More kinds than those that pass by themselves: another answer of a model may conform to its constraint, and an
/// unexpected failure of an agent, such as a panic, often depends on the moment.
pub(crate) fn may_help(kind: ErrorKind) -> bool {
    kind.is_transient() || matches!(kind, ErrorKind::Misfit | ErrorKind::Internal)
}

/// Draws the delay after the given number of failures, this one included.
pub(crate) fn wait(failures: u32, error: &Error) -> Duration {
    let drawn = rand::rng().random_range(0.0..=ceiling(failures).as_secs_f64());
    Duration::from_secs_f64(drawn).max(error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER))
}

fn ceiling(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (BASE_DELAY * 2_u32.pow(doublings)).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceiling_doubles_up_to_the_maximum() {
        let seconds: Vec<u64> = [1, 2, 3, 9, 10, 1_000].iter().map(|n| ceiling(*n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 256, 300, 300]);
    }

    #[test]
    fn retry_after_of_the_error_is_the_minimum() {
        let error = Error::unavailable("busy").with_retry_after(Duration::from_secs(77));
        assert!((0..100).all(|_| wait(1, &error) >= Duration::from_secs(77)));
        let error = Error::unavailable("busy").with_retry_after(Duration::MAX);
        assert_eq!(wait(1, &error), MAX_RETRY_AFTER);
        let waits: Vec<_> = (0..100).map(|_| wait(4, &Error::unavailable("x"))).collect();
        assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(8)));
        assert!(waits.iter().max() != waits.iter().min(), "no jitter");
    }
}
