//! [`Clock`] over the clock of the database.
//!
//! If every process compared leases, due times and events with its own clock, one whose clock is wrong would
//! reap leases that others hold, or let others reap its own. All processes that share a database therefore
//! use the clock of the database: it is read every 5 s, and the time since then is measured locally.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use sqlx::Row;
use sutazai_core::Result;
use sutazai_core::domain::later;
use sutazai_core::ports::{Clock, SystemClock};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::database::Database;
use crate::spans::Operation;

/// Interval between two readings of the database's clock.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Interval until the next reading after one has failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Shortest sleep when the clock was set back during one and some time is left.
const MIN_SLEEP: Duration = Duration::from_millis(1);

/// The clock of a database. It runs on locally while the database cannot be reached.
#[derive(Debug)]
pub(super) struct PostgresClock {
    time: Arc<Time>,
    _stop: DropGuard,
}

impl PostgresClock {
    /// Reads the database's clock, and again every 5 s until the clock is dropped. Must be called in a Tokio
    /// runtime.
    ///
    /// # Errors
    /// Those of the first reading.
    pub(super) async fn start(database: Database) -> Result<Self> {
        let time = Arc::new(Time::new(look(&database).await?));
        let stop = CancellationToken::new();
        let watch = watch(database, time.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(watch));
        Ok(Self { time, _stop: stop.drop_guard() })
    }
}

#[async_trait]
impl Clock for PostgresClock {
    fn now(&self) -> DateTime<Utc> {
        // Truncated to microseconds, which is what the database stores.
        self.time.now().trunc_subsecs(6)
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        let until = later(self.now(), duration);
        let mut rest = duration;
        loop {
            SystemClock.sleep(rest).await;
            match (until - self.now()).to_std() {
                Ok(left) if !left.is_zero() => rest = left.max(MIN_SLEEP),
                _ => return,
            }
        }
    }
}

async fn watch(database: Database, time: Arc<Time>) {
    let mut pause = POLL_INTERVAL;
    loop {
        SystemClock.sleep(pause).await;
        pause = match look(&database).await {
            Ok(look) => {
                time.adopt(look);
                POLL_INTERVAL
            }
            Err(e) => {
                tracing::debug!(error = %e, "database clock not read");
                RETRY_INTERVAL
            }
        };
    }
}

/// One reading of the database's clock.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// Local instant at which the answer arrived.
    at: Instant,
    /// Time that the database returned, plus half the round trip.
    shown: DateTime<Utc>,
    /// Bound of the error of `shown`: half the round trip.
    error: TimeDelta,
}

async fn look(database: &Database) -> Result<Look> {
    const NOW: &str = "SELECT clock_timestamp()";
    let look = database.run(Operation::without_table("SELECT"), (), |connection, ()| {
        Box::pin(async move {
            let sent = Instant::now();
            let shown: DateTime<Utc> = sqlx::raw_sql(NOW).fetch_one(connection).await?.try_get(0)?;
            let at = Instant::now();
            let half = TimeDelta::from_std((at - sent) / 2).unwrap_or_default();
            Ok(Look { at, shown: shown + half, error: half })
        })
    });
    look.await
}

/// The current time, extrapolated from the last reading.
#[derive(Debug)]
struct Time(Mutex<Heeded>);

#[derive(Debug, Clone, Copy)]
struct Heeded {
    at: Instant,
    /// Time of the database at `at`.
    theirs: DateTime<Utc>,
    /// Time that this clock returned at `at`; it may be ahead of the database.
    ours: DateTime<Utc>,
}

impl Time {
    fn new(look: Look) -> Self {
        Self(Mutex::new(Heeded { at: look.at, theirs: look.shown, ours: look.shown }))
    }

    fn now(&self) -> DateTime<Utc> {
        let heeded = self.lock();
        // Read under the lock, so that later calls get later instants.
        heeded.at(Instant::now())
    }

    /// Adopts a reading, unless its difference is within its error.
    fn adopt(&self, look: Look) {
        let mut heeded = self.lock();
        let at = look.at.max(heeded.at);
        let ours = heeded.at(at);
        let theirs = look.shown + TimeDelta::from_std(at - look.at).unwrap_or_default();
        let same = (theirs - ours).abs() <= look.error;
        *heeded = Heeded { at, theirs: if same { ours } else { theirs }, ours };
    }

    fn lock(&self) -> MutexGuard<'_, Heeded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heeded {
    /// Returns the time at this instant. A clock that is ahead of the database runs at half speed until the
    /// database has caught up: it must never go backwards, and stopping it would give different events equal
    /// times.
    fn at(&self, instant: Instant) -> DateTime<Utc> {
        let passed = instant.saturating_duration_since(self.at);
        (self.theirs + passed).max(self.ours + passed / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn look(at: Instant, shown: DateTime<Utc>) -> Look {
        Look { at, shown, error: TimeDelta::milliseconds(2) }
    }

    fn at(time: &Time, instant: Instant) -> DateTime<Utc> {
        time.lock().at(instant)
    }

    #[test]
    fn database_time_is_adopted_at_once_forwards_and_slowly_backwards() {
        let (begin, shown) = (Instant::now(), DateTime::UNIX_EPOCH);
        let time = Time::new(look(begin, shown));
        assert_eq!(at(&time, begin + SECOND), shown + SECOND);

        time.adopt(look(begin + SECOND, shown + SECOND * 60));
        assert_eq!(at(&time, begin + SECOND * 2), shown + SECOND * 61);

        // Ten seconds back take twenty to catch up.
        time.adopt(look(begin + SECOND * 2, shown + SECOND * 51));
        let mut before = at(&time, begin + SECOND * 2);
        assert_eq!(before, shown + SECOND * 61);
        for second in 3..30 {
            let now = at(&time, begin + SECOND * second);
            assert!(now > before, "{now} after {before}");
            before = now;
        }
        assert_eq!(at(&time, begin + SECOND * 21), shown + SECOND * 61 + SECOND * 19 / 2);
        assert_eq!(at(&time, begin + SECOND * 29), shown + SECOND * 78);
    }

    #[test]
    fn reading_within_its_error_keeps_the_offset() {
        let (begin, shown) = (Instant::now(), DateTime::UNIX_EPOCH);
        let time = Time::new(look(begin, shown));
        for milliseconds in [1_u32, 2] {
            let wrong = Duration::from_millis(1) * milliseconds;
            time.adopt(look(begin + SECOND, shown + SECOND + wrong));
            time.adopt(look(begin + SECOND, shown + SECOND - wrong));
            assert_eq!(at(&time, begin + SECOND * 2), shown + SECOND * 2);
        }
    }
}
