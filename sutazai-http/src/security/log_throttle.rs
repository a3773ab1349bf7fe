//! Limits the rate of log lines that callers can cause, so that they cannot fill the log.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Minimum interval between two lines in seconds.
const INTERVAL: i64 = 60;

/// Allows one log line per minute.
#[derive(Debug)]
pub(crate) struct LogThrottle {
    /// Time of the last line in Unix seconds.
    last: AtomicI64,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self { last: AtomicI64::new(i64::MIN) }
    }
}

impl LogThrottle {
    /// Returns whether a line may be written now; if so, counts it as written.
    pub(crate) fn is_due(&self, now: DateTime<Utc>) -> bool {
        let (now, last) = (now.timestamp(), self.last.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= INTERVAL;
        // Of two concurrent callers, only the one whose exchange succeeds writes its line.
        due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_line_a_minute() {
        let throttle = LogThrottle::default();
        let at = |second| DateTime::UNIX_EPOCH + Duration::from_secs(second);
        let due: Vec<_> = [0, 1, 59, 60, 61, 200].map(at).map(|now| throttle.is_due(now)).into();
        assert_eq!(due, [true, false, false, true, false, true]);
    }
}
