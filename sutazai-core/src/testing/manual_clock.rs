//! Clock for tests whose time changes only when it is advanced.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use tokio::sync::watch;

use crate::ports::Clock;

/// A clock for tests: `sleep` ends once [`advance`](Self::advance) has moved it far enough.
#[derive(Debug)]
pub struct ManualClock {
    reading: watch::Sender<Reading>,
    /// Number of sleepers by the monotonic reading at which they wake.
    sleepers: Mutex<BTreeMap<Duration, usize>>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    now: DateTime<Utc>,
    monotonic: Duration,
}

impl ManualClock {
    /// Creates a clock at 2026-01-01 00:00:00 UTC.
    pub fn new() -> Self {
        Self::starting_at(Utc.timestamp_opt(1_767_225_600, 0).single().unwrap_or_default())
    }

    /// Creates a clock at this time.
    pub fn starting_at(now: DateTime<Utc>) -> Self {
        let reading = watch::Sender::new(Reading { now, monotonic: Duration::ZERO });
        Self { reading, sleepers: Mutex::default() }
    }

    /// Advances both readings and wakes the sleepers that are due.
    pub fn advance(&self, by: Duration) {
        self.reading.send_modify(|reading| {
            reading.now += by;
            reading.monotonic += by;
        });
    }

    /// Advances to the time at which the next sleeper wakes and returns by how much; `None` if nobody sleeps.
    pub fn advance_to_next(&self) -> Option<Duration> {
        let now = self.monotonic();
        // Those that are due have been woken and only have not run yet.
        let due = self.lock().keys().copied().find(|until| *until > now)?;
        self.advance(due - now);
        Some(due - now)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Duration, usize>> {
        // A poisoned lock is safe to use: every change of the map is a single insert or remove.
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets `now` forward or back without advancing the monotonic reading, as an administrator or a time service does.
    pub fn set_by(&self, by: TimeDelta) {
        self.reading.send_modify(|reading| reading.now += by);
    }
}

/// Entry of a sleeper, for as long as it sleeps.
struct Sleeper<'a> {
    clock: &'a ManualClock,
    until: Duration,
}

impl<'a> Sleeper<'a> {
    fn new(clock: &'a ManualClock, until: Duration) -> Self {
        *clock.lock().entry(until).or_default() += 1;
        Self { clock, until }
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.clock.lock();
        if let Some(count) = sleepers.get_mut(&self.until) {
            *count -= 1;
            if *count == 0 {
                sleepers.remove(&self.until);
            }
        }
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
        self.sleep_until(self.monotonic().saturating_add(duration)).await;
    }

    async fn sleep_until(&self, until: Duration) {
        let _sleeper = Sleeper::new(self, until);
        let mut reading = self.reading.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail while a caller sleeps.
        let _ = reading.wait_for(|reading| reading.monotonic >= until).await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn next_sleepers_are_woken_one_after_another() {
        let clock = ManualClock::starting_at(DateTime::UNIX_EPOCH);
        assert_eq!(clock.advance_to_next(), None);
        let seconds = Duration::from_secs;
        let (mut late, mut soon) = (pin!(clock.sleep(seconds(60))), pin!(clock.sleep(seconds(5))));
        assert!(late.as_mut().now_or_never().is_none() && soon.as_mut().now_or_never().is_none());
        assert_eq!(clock.advance_to_next(), Some(seconds(5)));
        assert_eq!(clock.advance_to_next(), Some(seconds(55)), "one that was woken is waited for again");
        assert_eq!((clock.advance_to_next(), clock.monotonic()), (None, seconds(60)));
        soon.await;
        late.await;
        assert_eq!(clock.now(), DateTime::UNIX_EPOCH + TimeDelta::minutes(1));
    }

    #[tokio::test]
    async fn dropped_sleeper_is_forgotten() {
        let clock = ManualClock::new();
        assert!(clock.sleep(Duration::from_secs(5)).now_or_never().is_none());
        assert_eq!(clock.advance_to_next(), None);
    }
}
