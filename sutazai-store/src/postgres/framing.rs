//! Begins and ends transactions, directly on the server or through a pooler.

use sqlx::PgConnection;

use super::fault::{self, Fault, Outcome};
use super::limit::Limit;

/// What begins a transaction over a pooler.
macro_rules! begin_pooled {
    ($limit:literal) => {
        concat!(
            "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off; \
             SET LOCAL idle_in_transaction_session_timeout = '5s'; SET LOCAL statement_timeout = '",
            $limit,
            "'"
        )
    };
}

/// How transactions begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Over a connection to the server, which has the settings already.
    Direct,
    /// Over a pooler, which lends a connection for the transaction. Nothing may be left on it: the statements that were prepared
    /// have names that the next one gives too.
    Pooled,
}

impl Framing {
    pub(super) fn begin(self, limit: Limit) -> &'static str {
        match (self, limit) {
            (Self::Direct, Limit::Usual | Limit::Long) => "BEGIN",
            (Self::Direct, Limit::Migration) => "BEGIN; SET LOCAL statement_timeout = '1h'",
            (Self::Pooled, Limit::Usual | Limit::Long) => begin_pooled!("25s"),
            (Self::Pooled, Limit::Migration) => begin_pooled!("1h"),
        }
    }

    pub(super) fn commit(self) -> &'static str {
        match self {
            Self::Direct => "COMMIT",
            Self::Pooled => "DEALLOCATE ALL; COMMIT",
        }
    }

    pub(super) fn rollback(self) -> &'static str {
        match self {
            Self::Direct => "ROLLBACK",
            Self::Pooled => "ROLLBACK; DEALLOCATE ALL",
        }
    }
}

/// Begins a transaction.
pub(super) async fn begin(connection: &mut PgConnection, framing: Framing, limit: Limit) -> Outcome<()> {
    execute(connection, framing.begin(limit)).await
}

/// Ends a transaction as its outcome says.
pub(super) async fn end<T>(
    connection: &mut PgConnection,
    framing: Framing,
    outcome: Outcome<T>,
) -> Outcome<T> {
    match outcome {
        Ok(value) => execute(connection, framing.commit()).await.map(|()| value),
        Err(fault) => {
            if !fault::is_lost(&fault) {
                execute(connection, framing.rollback()).await?;
            }
            Err(fault)
        }
    }
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> Outcome<()> {
    sqlx::raw_sql(sql).execute(connection).await.map_err(Fault::from)?;
    Ok(())
}
