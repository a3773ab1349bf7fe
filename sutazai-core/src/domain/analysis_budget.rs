//! Time budget of an analysis: without a model its report appears within [`REPORT_TIMEOUT`], whatever does not respond.
//!
//! These steps run one after another, each with its limit:
//!
//! | step | limit |
//! |---|---|
//! | measure with all sources at once; open the history meanwhile | [`SNAPSHOT_TIMEOUT`] |
//! | read the history | [`HISTORY_READ_TIMEOUT`] |
//! | store the snapshot in the history | [`HISTORY_WRITE_TIMEOUT`] |
//!
//! [`longest`] is their sum. What it leaves of [`REPORT_TIMEOUT`] is for the start of the process, the rules and the
//! output. A limit inside a step is shorter than that of the step, so that its reason says what did not respond.

use std::time::Duration;

/// Maximum time from the start of `sutazai analyze --no-model` to the complete report.
pub const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Time limit of all metric sources together: one deadline, which no source can extend.
pub const SNAPSHOT_TIMEOUT: Duration = Duration::from_millis(3500);

/// Time limit of one built-in metric source, for everything that one collection reads.
pub const SOURCE_TIMEOUT: Duration = Duration::from_millis(3000);

/// Time limit of the container engine for one container. A first collection asks twice. It is over a second, because
/// Docker 20.10 takes that long for a reading.
pub const CONTAINER_TIMEOUT: Duration = Duration::from_millis(1200);

/// Time limit of all temperature sensors together, which run while the other figures are read.
pub const SENSOR_TIMEOUT: Duration = Duration::from_millis(500);

/// Time limit of the file system that has the database.
pub const DATABASE_FOLDER_TIMEOUT: Duration = Duration::from_millis(500);

/// Time limit for opening the database.
pub const DATABASE_OPEN_TIMEOUT: Duration = Duration::from_secs(1);

/// Time limit for reading the history of the machine; without history an analysis has no trends.
pub const HISTORY_READ_TIMEOUT: Duration = Duration::from_millis(500);

/// Time limit for storing the snapshot in the history.
pub const HISTORY_WRITE_TIMEOUT: Duration = Duration::from_millis(500);

/// Returns the sum of all limits on the longest path.
pub const fn longest() -> Duration {
    let opening = DATABASE_FOLDER_TIMEOUT.saturating_add(DATABASE_OPEN_TIMEOUT);
    let measuring = if opening.as_nanos() > SNAPSHOT_TIMEOUT.as_nanos() { opening } else { SNAPSHOT_TIMEOUT };
    measuring.saturating_add(HISTORY_READ_TIMEOUT).saturating_add(HISTORY_WRITE_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time for the start of the process, the rules and the output, which take 0.1 s together on a slow machine.
    const REST: Duration = Duration::from_millis(500);

    #[test]
    fn report_appears_in_time_if_every_limit_is_reached() {
        assert!(longest() + REST <= REPORT_TIMEOUT, "{:?}", longest());
    }

    #[test]
    fn limits_inside_a_step_are_shorter_than_the_step() {
        assert!(SOURCE_TIMEOUT < SNAPSHOT_TIMEOUT);
        assert!(SENSOR_TIMEOUT < SOURCE_TIMEOUT);
        assert!(CONTAINER_TIMEOUT * 2 < SOURCE_TIMEOUT);
        assert!(DATABASE_FOLDER_TIMEOUT + DATABASE_OPEN_TIMEOUT < SNAPSHOT_TIMEOUT);
    }
}
