//! Clock port: wall-clock time, elapsed time and sleeping.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};

/// A clock that tells the time and sleeps.
///
/// # Contract
/// - `now` never goes back between two calls of one thread, unless the clock is set.
/// - `monotonic` grows with the elapsed time and never goes back, even if the clock is set.
/// - `sleep` ends no earlier than the given duration after its call, as measured by `now`.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// Returns the current wall-clock time.
    fn now(&self) -> DateTime<Utc>;

    /// Time elapsed since an arbitrary instant that is fixed for the life of the process. Differences of two readings
    /// are elapsed time even if the wall clock is set; leases and their expiry are judged by it. The default suits
    /// clocks that cannot be set.
    fn monotonic(&self) -> Duration {
        (self.now() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
    }

    /// Suspends the calling task for at least `duration`.
    async fn sleep(&self, duration: Duration);
}

impl dyn Clock + '_ {
    /// Runs `future` for at most `limit` as measured by this clock; returns `None` and drops the future when the limit
    /// is exceeded.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.sleep(limit) => None,
        }
    }
}

/// Clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
#[expect(clippy::disallowed_methods, reason = "this clock is the machine's")]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        // Microseconds are what every store keeps: a time is equal before and after it was stored.
        Utc::now().trunc_subsecs(6)
    }

    fn monotonic(&self) -> Duration {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGIN.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
