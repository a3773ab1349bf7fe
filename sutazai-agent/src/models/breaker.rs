//! Circuit breaker that stops calls to a backend for a while after repeated failures.
//!
//! Before each call to a backend, a [`FallbackChain`](super::FallbackChain) requests a permit from its breaker, and
//! afterwards it reports the outcome of the call through the permit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::gauge;
use sutazai_core::ports::Clock;
use sutazai_core::{Error, ErrorKind};

/// Number of consecutive failures that opens the circuit.
pub(super) const THRESHOLD: u32 = 5;

/// Time for which an open circuit rejects calls before it admits one trial call.
pub(super) const COOL_DOWN: Duration = Duration::from_secs(30);

/// State of a circuit breaker: whether it admits calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// The circuit is closed: calls are admitted.
    Closed,
    /// Calls are rejected until the cool-down is over.
    Open,
    /// The cool-down is over: one trial call is admitted, and its outcome decides.
    HalfOpen,
}

/// Circuit breaker of one backend, driven by consecutive failures.
///
/// A call counts once, however often it was retried. Only transient and internal errors count as failures: a refusal such as
/// `NotFound` proves that the backend responds.
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
    trial_running: bool,
}

impl CircuitBreaker {
    /// Creates a closed breaker for `backend`. It opens for 30 seconds, measured by `clock`, after five consecutive
    /// failures.
    pub fn new(backend: &str, clock: Arc<dyn Clock>) -> Self {
        let breaker = Self { backend: backend.to_owned(), clock, inner: Mutex::default() };
        breaker.publish_state();
        breaker
    }

    /// Returns the current state, which depends on the time that has passed since the circuit opened.
    pub fn state(&self) -> BreakerState {
        match self.remaining(&self.lock()) {
            None => BreakerState::Closed,
            Some(Duration::ZERO) => BreakerState::HalfOpen,
            Some(_) => BreakerState::Open,
        }
    }

    /// Requests a permit for one call. A permit that is dropped without being settled reports nothing about the
    /// backend.
    ///
    /// # Errors
    /// `Unavailable` with a retry delay while the circuit is open or another trial call is running.
    pub fn permit(self: &Arc<Self>) -> Result<Permit, Error> {
        self.publish_state();
        let mut inner = self.lock();
        let refused =
            |after| Error::unavailable("the circuit is open after repeated failures").with_retry_after(after);
        match self.remaining(&inner) {
            None => {}
            Some(Duration::ZERO) if inner.trial_running => return Err(refused(Duration::from_secs(1))),
            Some(Duration::ZERO) => inner.trial_running = true,
            Some(remaining) => return Err(refused(remaining)),
        }
        Ok(Permit { breaker: self.clone(), is_trial: inner.trial_running, settled: false })
    }

    /// Publishes the state as the gauge `circuit_breaker_state`: 0 closed, 1 half-open, 2 open.
    fn publish_state(&self) {
        let state = match self.state() {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open => 2.0,
        };
        gauge!("circuit_breaker_state", "backend" => self.backend.clone()).set(state);
    }

    /// Returns the rest of the cool-down, zero once it is over; `None` while the circuit is closed.
    fn remaining(&self, inner: &Inner) -> Option<Duration> {
        let passed = (self.clock.now() - inner.opened_at?).to_std().unwrap_or_default();
        Some(COOL_DOWN.saturating_sub(passed))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permit for one call to a backend; it reports the outcome back to the breaker.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<CircuitBreaker>,
    /// Marks the trial call of a half-open circuit.
    is_trial: bool,
    settled: bool,
}

impl Permit {
    /// Returns whether this is the trial call of a half-open circuit.
    pub(super) fn is_trial(&self) -> bool {
        self.is_trial
    }

    /// Reports the outcome of the call: `None` for success, or the kind of its error.
    pub fn settle(mut self, failure: Option<ErrorKind>) {
        self.settled = true;
        let now = self.breaker.clock.now();
        let mut inner = self.breaker.lock();
        if self.is_trial {
            inner.trial_running = false;
        }
        // A backend that ended unexpectedly reports `Internal`. A misfit is caused by the request as much as by the
        // model, and it proves that the backend answered.
        if failure.is_some_and(|kind| kind.is_transient() || kind == ErrorKind::Internal) {
            inner.failures = inner.failures.saturating_add(1);
            // A call that began before the circuit opened must not prolong the open state.
            if self.is_trial || (inner.opened_at.is_none() && inner.failures >= THRESHOLD) {
                inner.opened_at = Some(now);
            }
        } else {
            *inner = Inner::default();
        }
        drop(inner);
        self.breaker.publish_state();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_trial && !self.settled {
            self.breaker.lock().trial_running = false;
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
    fn consecutive_failures_open_the_circuit_with_a_retry_delay() {
        let (clock, breaker) = broken();
        assert_eq!(breaker.state(), BreakerState::Open);
        clock.advance(Duration::from_secs(10));
        let e = breaker.permit().unwrap_err();
        assert_eq!((e.kind(), e.retry_after()), (ErrorKind::Unavailable, Some(Duration::from_secs(20))));
    }

    #[test]
    fn one_trial_call_decides_the_state() {
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
    fn dropped_trial_permit_admits_another_trial() {
        let (clock, breaker) = broken();
        clock.advance(COOL_DOWN);
        drop(breaker.permit().unwrap());
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        breaker.permit().unwrap().settle(None);
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn misfits_do_not_open_the_circuit() {
        let breaker = Arc::new(CircuitBreaker::new("test", Arc::new(ManualClock::new())));
        for _ in 0..3 * THRESHOLD {
            breaker.permit().unwrap().settle(Some(ErrorKind::Misfit));
        }
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn permanent_errors_do_not_count() {
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
    fn calls_from_before_the_opening_do_not_prolong_the_open_state() {
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
