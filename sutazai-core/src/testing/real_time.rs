//! Time limits of checks whose subject runs in real time.

use std::time::Duration;

use crate::ports::{Clock, SystemClock};

/// Runs `future` for at most `limit` of real time; returns `None` when the limit is exceeded.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let clock: &dyn Clock = &SystemClock;
    clock.timeout(limit, future).await
}
