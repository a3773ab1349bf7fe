//! Leaves alone, for a while, what keeps failing.
//!
//! Every call of a [`FallbackChain`](super::FallbackChain) to a backend first asks its breaker for a permit and
//! tells it afterwards how the call went.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use sutazai_core::ports::Clock;
use sutazai_core::{Error, ErrorKind};

/// After so many failures in a row the circuit opens.
pub(super) const THRESHOLD: u32 = 5;

/// So long it stays open before one call may try again.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(30);

/// Whether calls go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused until the cool-down is over.
    Open,
    /// The cool-down is over: one call may try, and its outcome decides.
    HalfOpen,
}

/// Counts calls that failed in a row, each once however often it was repeated; only those of temporary kinds, for a refusal such as `NotFound` proves that somebody is
/// there.
#[derive(Debug)]
pub struct CircuitBreaker {
    backend: String,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    failures: u32,
    opened_at: Option<DateTime<Utc>>,
    trying: bool,
}

impl CircuitBreaker {
    /// A closed one before this backend: it opens after five failures in a row, for 30 seconds by this clock.
    pub fn new(backend: &str, clock: Arc<dyn Clock>) -> Self {
        let breaker = Self { backend: backend.to_owned(), clock, inner: Mutex::default() };
        breaker.tell();
        breaker
    }

    /// Whether calls go through now.
    pub fn state(&self) -> BreakerState {
        match self.remaining(&self.lock()) {
            None => BreakerState::Closed,
            Some(Duration::ZERO) => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// Leave for one call. Who drops the permit without settling it, says nothing about the backend.
    ///
    /// # Errors
    /// `Unavailable`, with the time after which to ask again, while the circuit is open or another call is trying.
    pub fn permit(self: &Arc<Self>) -> Result<Permit, Error> {
        self.tell();
        let mut inner = self.lock();
        let refused = |after| {
            Error::unavailable("it failed too often in a row and is left alone for a while")
                .with_retry_after(after)
        };
        match self.remaining(&inner) {
            None => {}
            Some(Duration::ZERO) if inner.trying => return Err(refused(Duration::from_secs(1))),
            Some(Duration::ZERO) => inner.trying = true,
            Some(remaining) => return Err(refused(remaining)),
        }
        Ok(Permit { breaker: self.clone(), tries: inner.trying, settled: false })
    }

    /// Shows the state to whoever collects metrics.
    fn tell(&self) {
        let state = match self.state() {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        gauge!("circuit_breaker_state", "backend" => self.backend.clone()).set(state);
    }

    /// What is left of the cool-down; none when the circuit is closed.
    fn remaining(&self, inner: &Inner) -> Option<Duration> {
        let passed = (self.clock.now() - inner.opened_at?).to_std().unwrap_or_default();
        Some(COOL_DOWN.saturating_sub(passed))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for one call to a backend.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<CircuitBreaker>,
    /// Whether this call is the one that tries a half-open circuit.
    tries: bool,
    settled: bool,
}

impl Permit {
    /// Whether this call is the trial of a half-open circuit.
    pub(super) fn is_trial(&self) -> bool {
        self.tries
    }

    /// Says how the call went: none, or the kind of its error.
    pub fn settle(mut self, failure: Option<ErrorKind>) {
        self.settled = true;
        let now = self.breaker.clock.now();
        let mut inner = self.breaker.lock();
        if self.tries {
            inner.trying = false;
        }
        // An answer that does not fit is the request's doing as much as the model's: the backend did answer.
        if failure.is_some_and(|kind| kind.is_temporary() && kind != ErrorKind::Misfit) {
            inner.failures = inner.failures.saturating_add(1);
            // A call that began before the circuit opened must not make it stay open longer.
            if self.tries || (inner.opened_at.is_none() && inner.failures >= THRESHOLD) {
                inner.opened_at = Some(now);
            }
        } else {
            *inner = Inner::default();
        }
        drop(inner);
        self.breaker.tell();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.tries && !self.settled {
            self.breaker.lock().trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::testing::ManualClock;

    use super::*;

    fn broken() -> (Arc<ManualClock>, Arc<CircuitBreaker>) {
        let clock = Arc::new(ManualClock::new());
        let breaker = Arc::new(CircuitBreaker::new("test", clock.clone()));
        for _ in 0..THRESHOLD {
            assert_eq!(breaker.state(), BreakerState::Closed);
            breaker.permit().unwrap().settle(Some(ErrorKind::Unavailable));
        }
        (clock, breaker)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_says_for_how_long() {
        let (clock, breaker) = broken();
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(Duration::from_secs(10));
        let e = breaker.permit().unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(20))));
    }

    #[test]
    fn one_call_tries_and_decides() {
        let (clock, breaker) = broken();
        clock.advance(COOL_DOWN);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        let first = breaker.permit().unwrap();
        breaker.permit().unwrap_err();
        first.settle(Some(ErrorKind::Timeout));
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(COOL_DOWN);
        breaker.permit().unwrap().settle(None);
        assert_eq!(breaker.state(), BreakerState::Closed);
        breaker.permit().unwrap().settle(Some(ErrorKind::Busy));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_try_that_was_dropped_leaves_room_for_another() {
        let (clock, breaker) = broken();
        clock.advance(COOL_DOWN);
        drop(breaker.permit().unwrap());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.permit().unwrap().settle(None);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn answers_that_do_not_fit_open_nothing() {
        let breaker = Arc::new(CircuitBreaker::new("test", Arc::new(ManualClock::new())));
        for _ in 0..3 * THRESHOLD {
            breaker.permit().unwrap().settle(Some(ErrorKind::Misfit));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn refusals_do_not_count() {
        let breaker = Arc::new(CircuitBreaker::new("test", Arc::new(ManualClock::new())));
        for _ in 0..3 {
            for _ in 0..THRESHOLD - 1 {
                breaker.permit().unwrap().settle(Some(ErrorKind::Busy));
            }
            breaker.permit().unwrap().settle(Some(ErrorKind::NotFound));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn calls_from_before_the_opening_do_not_prolong_it() {
        let clock = Arc::new(ManualClock::new());
        let breaker = Arc::new(CircuitBreaker::new("test", clock.clone()));
        let slow = breaker.permit().unwrap();
        for _ in 0..THRESHOLD {
            breaker.permit().unwrap().settle(Some(ErrorKind::Unavailable));
        }
        clock.advance(COOL_DOWN / 2);
        slow.settle(Some(ErrorKind::Timeout));
        clock.advance(COOL_DOWN / 2);
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
    }
}
