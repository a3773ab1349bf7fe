//! Retry policy for calls to one model backend, applied before the chain falls back to the next backend.
//!
//! Only transient errors are retried: a server that restarts or is busy for a moment. The delay grows exponentially and
//! is half fixed, half random ("equal jitter"; Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015),
//! so that clients that failed together spread out and none returns at once. failed together spread out, and none comes
//! back at once.

use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::counter;
use rand::Rng;
use sutazai_core::Error;
use sutazai_core::ports::Clock;

/// Maximum number of calls to one backend for one request, the first included.
const MAX_ATTEMPTS: u32 = 3;

/// Upper bound of the first delay; it doubles with each further failure.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Longest delay. A server whose `Retry-After` is longer is not retried, because the next backend answers sooner.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Time after the first call within which retries may start. A backend that exhausted a long timeout, such as
/// `MODEL_IDLE_TIMEOUT_SECONDS`, would most likely exhaust it again.
const RETRY_WINDOW: Duration = Duration::from_secs(10);

/// Retry state of one request to one backend.
#[derive(Debug)]
pub(super) struct Retry<'a> {
    clock: &'a dyn Clock,
    begun: DateTime<Utc>,
    /// Deadline of the request; `None` without a time limit.
    deadline: Option<DateTime<Utc>>,
    failures: u32,
}

impl<'a> Retry<'a> {
    /// Starts the retry window now; no delay goes beyond `timeout`.
    pub(super) fn new(clock: &'a dyn Clock, timeout: Option<Duration>) -> Self {
        let begun = clock.now();
        let deadline =
            timeout.and_then(|timeout| begun.checked_add_signed(chrono::TimeDelta::from_std(timeout).ok()?));
        Self { clock, begun, deadline, failures: 0 }
    }

    /// Returns the rest of the request's time limit.
    fn remaining(&self) -> Option<Duration> {
        Some((self.deadline? - self.clock.now()).to_std().unwrap_or_default())
    }

    /// Disables retries, as for the trial call of a half-open circuit.
    pub(super) fn once(mut self) -> Self {
        self.failures = MAX_ATTEMPTS;
        self
    }

    /// Makes the call, passing it the remaining time, until it succeeds or must not be retried.
    ///
    /// # Errors
    /// Returns the error of the last attempt.
    pub(super) async fn run<T, F>(
        mut self,
        backend: &str,
        call: impl Fn(Option<Duration>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        loop {
            match call(self.remaining()).await {
                Ok(value) => return Ok(value),
                Err(e) => self.wait_after(e, backend).await?,
            }
        }
    }

    /// Sleeps until the next attempt may start.
    ///
    /// Returns the error instead when it is not transient, when attempts or time are used up, or when the server asks
    /// for a delay of more than [`MAX_DELAY`].
    async fn wait_after(&mut self, error: Error, backend: &str) -> Result<(), Error> {
        self.failures = self.failures.saturating_add(1);
        let Some(delay) = self.delay(&error) else { return Err(error) };
        tracing::debug!(backend, error = %error, attempt = self.failures, ?delay, "model call failed; retrying");
        counter!("model_call_retries_total", "backend" => backend.to_owned()).increment(1);
        self.clock.sleep(delay).await;
        Ok(())
    }

    fn delay(&self, error: &Error) -> Option<Duration> {
        if !error.kind().is_transient() || self.failures >= MAX_ATTEMPTS {
            return None;
        }
        let ceiling = ceiling(self.failures);
        let drawn = ceiling / 2 + (ceiling / 2).mul_f64(rand::rng().random_range(0.0..=1.0));
        let delay = drawn.max(error.retry_after().unwrap_or_default());
        let elapsed = (self.clock.now() - self.begun).to_std().unwrap_or_default();
        let in_time = self.remaining().is_none_or(|remaining| delay < remaining);
        (delay <= MAX_DELAY && elapsed + delay <= RETRY_WINDOW && in_time).then_some(delay)
    }
}

/// Returns the upper bound of the delay after `failures` failures, at least one.
fn ceiling(failures: u32) -> Duration {
    (FIRST_DELAY * 2_u32.pow(failures.saturating_sub(1).min(16))).min(MAX_DELAY)
}

#[cfg(test)]
mod tests {
    use sutazai_core::ErrorKind;
    use sutazai_core::testing::ManualClock;

    use super::*;

    fn after(
        failures: u32,
        clock: &ManualClock,
        timeout: Option<Duration>,
        error: &Error,
    ) -> Option<Duration> {
        Retry { failures, ..Retry::new(clock, timeout) }.delay(error)
    }

    #[test]
    fn delays_double_and_have_jitter() {
        let clock = ManualClock::new();
        let error = Error::unavailable("away");
        for (failures, (least, most)) in [(1, (125, 250)), (2, (250, 500))] {
            let delays: Vec<_> =
                (0..200).map(|_| after(failures, &clock, None, &error).unwrap().as_millis()).collect();
            assert!(delays.iter().all(|delay| (least..=most).contains(delay)), "{delays:?}");
            assert!(delays.iter().max() > delays.iter().min(), "no jitter");
        }
        assert_eq!([1, 2, 3, 6, 90].map(|n| ceiling(n).as_millis()), [250, 500, 1_000, 5_000, 5_000]);
    }

    #[test]
    fn attempts_are_bounded_and_only_transient_errors_are_retried() {
        let clock = ManualClock::new();
        for kind in ErrorKind::ALL {
            let error = Error::new(kind, "x");
            assert_eq!(after(1, &clock, None, &error).is_some(), kind.is_transient(), "{kind}");
            assert_eq!(after(MAX_ATTEMPTS, &clock, None, &error), None, "{kind}");
        }
    }

    #[test]
    fn retry_after_is_a_lower_bound_and_a_long_one_ends_retries() {
        let clock = ManualClock::new();
        let asks = |millis| Error::new(ErrorKind::Busy, "x").with_retry_after(Duration::from_millis(millis));
        assert_eq!(after(1, &clock, None, &asks(3_000)), Some(Duration::from_secs(3)));
        assert_eq!(after(1, &clock, None, &asks(5_001)), None);
        assert!(after(1, &clock, None, &asks(1)).unwrap() >= Duration::from_millis(125));
    }

    #[test]
    fn no_delay_exceeds_the_deadline_or_the_retry_window() {
        let clock = ManualClock::new();
        let error = Error::new(ErrorKind::Busy, "x").with_retry_after(Duration::from_secs(2));
        assert_eq!(after(1, &clock, Some(Duration::from_secs(2)), &error), None);
        assert!(after(1, &clock, Some(Duration::from_millis(2_001)), &error).is_some());
        let retry = Retry { failures: 1, ..Retry::new(&clock, Some(Duration::from_secs(60))) };
        clock.advance(Duration::from_secs(8));
        assert!(retry.delay(&error).is_some());
        assert_eq!(retry.remaining(), Some(Duration::from_secs(52)));
        clock.advance(Duration::from_millis(1));
        assert_eq!(retry.delay(&error), None, "the window is over");
    }
}
