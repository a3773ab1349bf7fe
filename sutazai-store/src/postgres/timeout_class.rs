//! Timeout classes of calls, and the settings that the server gets.
//!
//! A network that drops all packets reports no error: a client without a timeout waits forever, and so does
//! the server, which keeps the rows locked that this client had changed. Both sides therefore have timeouts.
//! The server gets its own with the connection or, where a pooler in transaction mode assigns its
//! connections, with each transaction, in the message that begins it, so that they cost no round trip.

use std::time::Duration;

/// Timeout class of a call, from its request for a connection to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeoutClass {
    /// Calls about some rows: 4 s, less than half the default lease of 10 s, so that a renewal can be retried
    /// before its lease expires.
    Short,
    /// Calls about a whole table or very many rows: 25 s, less than the default timeout of an HTTP request.
    Long,
    /// One migration: at most 1 h, which must suffice to rewrite the largest table.
    Migration,
}

impl TimeoutClass {
    /// Returns the timeout of this class.
    pub(super) fn duration(self) -> Duration {
        match self {
            Self::Short => Duration::from_secs(4),
            Self::Long => Duration::from_secs(25),
            Self::Migration => Duration::from_secs(3_600),
        }
    }
}

/// Settings of a connection. Prepared plans are kept, and one that was made over an empty table must still
/// serve a million rows: whatever the statistics say, the indexes are made for these statements, so other
/// scans are off. The other settings make the server abort what its client has given up, and notice a
/// vanished client within half a minute.
pub(super) const SETTINGS: [(&str, &str); 9] = [
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
    ("statement_timeout", "25s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20s"),
];
