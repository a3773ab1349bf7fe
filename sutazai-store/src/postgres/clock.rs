//! [`Clock`] over the clock of the database.
//!
//! Leases, due times and events are compared by every process with its own clock. One whose clock is wrong would take
//! over what others hold, or let them take what it holds. So all that share a database go by the clock of that: it is
//! looked at now and then, and what has passed since is measured here.

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

/// How often the database's clock is looked at, and how soon again when it could not be.
const LOOK: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));
/// A sleep that has not lasted long enough goes on for at least so long.
const LEAST_SLEEP: Duration = Duration::from_millis(1);

/// The clock of a database. While that is out of reach it goes on by itself.
#[derive(Debug)]
pub(super) struct PostgresClock {
    time: Arc<Time>,
    _stop: DropGuard,
}

impl PostgresClock {
    /// Looks at the clock, and then now and then until it is dropped. Must be called in a tokio runtime.
    ///
    /// # Errors
    /// Those of the database.
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
        // Microseconds, which are what the database keeps.
        self.time.now().trunc_subsecs(6)
    }

    fn steady(&self) -> Duration {
        SystemClock.steady()
    }

    async fn sleep(&self, duration: Duration) {
        let until = later(self.now(), duration);
        let mut rest = duration;
        loop {
            SystemClock.sleep(rest).await;
            match (until - self.now()).to_std() {
                Ok(left) if !left.is_zero() => rest = left.max(LEAST_SLEEP),
                _ => return,
            }
        }
    }
}

async fn watch(database: Database, time: Arc<Time>) {
    let (usual, soon) = LOOK;
    let mut pause = usual;
    loop {
        SystemClock.sleep(pause).await;
        pause = match look(&database).await {
            Ok(look) => {
                time.heed(look);
                usual
            }
            Err(e) => {
                tracing::debug!(error = %e, "the database's clock could not be looked at");
                soon
            }
        };
    }
}

/// What a look at the clock has shown.
#[derive(Debug, Clone, Copy)]
struct Look {
    /// When the answer came.
    at: Instant,
    /// What the clock said, at half the time that the answer took.
    shown: DateTime<Utc>,
    /// How far that may be wrong.
    error: TimeDelta,
}

async fn look(database: &Database) -> Result<Look> {
    const NOW: &str = "SELECT clock_timestamp()";
    let look = database.run((), |connection, ()| {
        Box::pin(async move {
            let asked = Instant::now();
            let shown: DateTime<Utc> = sqlx::raw_sql(NOW).fetch_one(connection).await?.try_get(0)?;
            let at = Instant::now();
            let half = TimeDelta::from_std((at - asked) / 2).unwrap_or_default();
            Ok(Look { at, shown: shown + half, error: half })
        })
    });
    look.await
}

/// The time, from the last look on.
#[derive(Debug)]
struct Time(Mutex<Heeded>);

#[derive(Debug, Clone, Copy)]
struct Heeded {
    at: Instant,
    /// What the database's clock said then.
    theirs: DateTime<Utc>,
    /// What we said then, which may have been more.
    ours: DateTime<Utc>,
}

impl Time {
    fn new(look: Look) -> Self {
        Self(Mutex::new(Heeded { at: look.at, theirs: look.shown, ours: look.shown }))
    }

    fn now(&self) -> DateTime<Utc> {
        let heeded = self.lock();
        // Asked for under the lock: later calls get later instants.
        heeded.at(Instant::now())
    }

    /// Goes by a look from now on, unless it says nothing new.
    fn heed(&self, look: Look) {
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
    /// The time at this instant. Where it is ahead of the database's it goes at half the pace until that has caught up.
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
    fn what_the_database_says_is_taken_forwards_at_once_and_backwards_slowly() {
        let (begin, shown) = (Instant::now(), DateTime::UNIX_EPOCH);
        let time = Time::new(look(begin, shown));
        assert_eq!(at(&time, begin + SECOND), shown + SECOND);

        time.heed(look(begin + SECOND, shown + SECOND * 60));
        assert_eq!(at(&time, begin + SECOND * 2), shown + SECOND * 61);

        // Ten seconds back, which takes twenty to make up for.
        time.heed(look(begin + SECOND * 2, shown + SECOND * 51));
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
    fn a_look_that_says_no_more_than_it_may_be_wrong_changes_nothing() {
        let (begin, shown) = (Instant::now(), DateTime::UNIX_EPOCH);
        let time = Time::new(look(begin, shown));
        for milliseconds in [1_u32, 2] {
            let wrong = Duration::from_millis(1) * milliseconds;
            time.heed(look(begin + SECOND, shown + SECOND + wrong));
            time.heed(look(begin + SECOND, shown + SECOND - wrong));
            assert_eq!(at(&time, begin + SECOND * 2), shown + SECOND * 2);
        }
    }
}
