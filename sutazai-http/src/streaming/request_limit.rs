//! Limit of how often one connection can query the database.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::Quota;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use sutazai_core::ports::Clock;

use crate::security::governor::PortClock;

/// Maximum burst: twice as many requests as a connection may have subscriptions.
const MAX_BURST: NonZeroU32 = NonZeroU32::new(64).unwrap();
/// Time in which one request is restored.
const REFILL_INTERVAL: Duration = Duration::from_millis(250);

/// Rate limit of one connection. It is not a key of the [`RateLimiter`](sutazai_core::ports::RateLimiter) port, because
/// it ends with its connection and no other server needs to know of it: asking a shared store for every message would
/// cost what it protects.
pub(crate) struct RequestLimit {
    limiter: governor::RateLimiter<NotKeyed, InMemoryState, PortClock, NoOpMiddleware<Duration>>,
}

impl RequestLimit {
    /// Creates an unused limit that uses the time of `clock`.
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let quota = Quota::with_period(REFILL_INTERVAL).unwrap_or(Quota::per_second(MAX_BURST));
        Self {
            limiter: governor::RateLimiter::direct_with_clock(quota.allow_burst(MAX_BURST), PortClock(clock)),
        }
    }

    /// Counts one request of the client.
    ///
    /// # Errors
    /// Returns the time until a request may pass.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|until| until.wait_time_from(self.limiter.clock().now()))
    }
}

#[cfg(test)]
mod tests {
    use sutazai_core::testing::ManualClock;

    use super::*;

    #[test]
    fn burst_passes_then_four_requests_per_second() {
        let clock = Arc::new(ManualClock::new());
        let limit = RequestLimit::new(clock.clone());
        assert!((0..MAX_BURST.get()).all(|_| limit.take().is_ok()));
        assert_eq!(limit.take(), Err(REFILL_INTERVAL));
        clock.advance(Duration::from_secs(1));
        assert!((0..4).all(|_| limit.take().is_ok()));
        assert_eq!(limit.take(), Err(REFILL_INTERVAL));
        clock.advance(Duration::from_secs(3_600));
        assert_eq!((0..1_000).filter(|_| limit.take().is_ok()).count(), MAX_BURST.get() as usize);
    }
}
