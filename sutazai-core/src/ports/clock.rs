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
/// - `sleep_until` ends no earlier than `monotonic` reaches the given reading.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sutazai_core::ports::{Clock, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> sutazai_core::Result<()> {
/// let clock: &dyn Clock = &SystemClock;
/// let begun = clock.monotonic();
/// clock.sleep(Duration::from_millis(2)).await;
/// assert!(clock.monotonic() - begun >= Duration::from_millis(2));
/// let limited = clock.timeout(Duration::from_millis(2), std::future::pending::<()>()).await;
/// assert_eq!(limited, None);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
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
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and has no other effect.
    async fn sleep(&self, duration: Duration);

    /// Suspends the calling task until [`monotonic`](Self::monotonic) is at least `until`; returns at once if it is
    /// already. A clock that a test advances implements this itself, so that time that passes between the caller's
    /// reading and this call is not slept again; the default suits clocks that run by themselves.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait and has no other effect.
    async fn sleep_until(&self, until: Duration) {
        let left = until.saturating_sub(self.monotonic());
        if !left.is_zero() {
            self.sleep(left).await;
        }
    }
}

impl dyn Clock + '_ {
    /// Runs `future` for at most `limit` as measured by this clock; returns `None` and drops the future when the limit
    /// is exceeded.
    ///
    /// # Cancel safety
    /// Dropping the returned future drops `future`.
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
