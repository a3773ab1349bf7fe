//! How long a call may take, and what the server is told about it.
//!
//! A network that drops everything says nothing: whoever waits for an answer without a limit waits for ever, and so does
//! the server, which keeps the rows locked that such a client had changed. Both sides therefore have limits. Those of
//! the server come with the connection, or, where a pooler lends the server's connections out for one transaction at a
//! time, with the transaction: in the message that begins it, so that it costs no trip.

use std::time::Duration;

/// How long a call may take, from its wish for a connection to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// What concerns some rows. Less than half the default lease of 10 s: who holds tasks can try again before it ends.
    Usual,
    /// What concerns a whole table, or very many rows. Less than a request over HTTP may take by default.
    Long,
    /// A step of the schema: at most as long as it takes to write the largest table anew.
    Migration,
}

impl Limit {
    /// The limit itself.
    pub(super) fn duration(self) -> Duration {
        match self {
            Self::Usual => Duration::from_secs(4),
            Self::Long => Duration::from_secs(25),
            Self::Migration => Duration::from_secs(3_600),
        }
    }
}

/// Settings of a connection. Plans are kept, and one that was made over an empty table must serve when there are a
/// million rows in it: whatever the statistics say, the indices are made for what is asked. The rest has the server end
/// what its client has given up, and notice within half a minute a client that is not there any more.
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
