//! Where time comes from: the only source of it in the whole project.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time and waits for it.
///
/// # Contract
/// - `now` never goes back between two calls of one thread, unless somebody sets the clock.
/// - `steady` grows with the time that passes and never goes back, also while somebody sets the clock.
/// - `sleep` ends no earlier than the given time after its call, as `now` tells it.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

    /// Time since some instant that stays the same as long as the process runs. The difference of two readings is the time
    /// between them, whatever `now` says: leases and their expiry are judged by it. The default suits a clock that nobody can
    /// set.
    fn steady(&self) -> Duration {
        (self.now() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default()
    }

    /// Waits so long.
    async fn sleep(&self, duration: Duration);
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
#[allow(clippy::disallowed_methods)] // the one place that may ask the machine for the time
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        // Microseconds, which every store keeps: a time is the same before and after it was stored.
        Utc::now().trunc_subsecs(6)
    }

    fn steady(&self) -> Duration {
        static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGIN.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
