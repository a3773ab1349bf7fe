//! Keeps log lines that callers cause from filling the log.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, Utc};

/// Seconds between two lines.
const INTERVAL: i64 = 60;

/// Lets one line of a kind through each minute.
#[derive(Debug)]
pub(crate) struct LogThrottle {
    /// The second of the last line.
    last: AtomicI64,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self { last: AtomicI64::new(i64::MIN) }
    }
}

impl LogThrottle {
    /// Whether a line may be written now.
    pub(crate) fn is_due(&self, now: DateTime<Utc>) -> bool {
        let (now, last) = (now.timestamp(), self.last.load(Ordering::Relaxed));
        let due = now.saturating_sub(last) >= INTERVAL;
        // Of two at once one has it.
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
