//! Where time comes from: the only source of it in the whole project.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Tells the time and waits for it.
///
/// # Contract
/// - `now` never goes back between two calls of one thread.
/// - `sleep` ends no earlier than the given time after its call, as `now` tells it.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> DateTime<Utc>;

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
        Utc::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
