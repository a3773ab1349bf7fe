//! Begins and ends transactions, directly on the server or through a pooler.

use sqlx::PgConnection;

use super::error::{self, StoreError, StoreResult};
use super::timeout_class::TimeoutClass;

/// Statement that begins a transaction over a pooler.
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

/// Pool mode: how transactions begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PoolMode {
    /// Connection to the server itself, which has the settings already.
    Direct,
    /// Connection to a pooler, which assigns a server connection per transaction. Nothing may be left on
    /// that: the next client's prepared statements have the same names.
    Pooled,
}

impl PoolMode {
    pub(super) fn begin(self, limit: TimeoutClass) -> &'static str {
        match (self, limit) {
            (Self::Direct, TimeoutClass::Short | TimeoutClass::Long) => "BEGIN",
            (Self::Direct, TimeoutClass::Migration) => "BEGIN; SET LOCAL statement_timeout = '1h'",
            (Self::Pooled, TimeoutClass::Short | TimeoutClass::Long) => begin_pooled!("25s"),
            (Self::Pooled, TimeoutClass::Migration) => begin_pooled!("1h"),
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

/// Begins a transaction with the settings of its timeout class.
pub(super) async fn begin(
    connection: &mut PgConnection,
    pool_mode: PoolMode,
    limit: TimeoutClass,
) -> StoreResult<()> {
    execute(connection, pool_mode.begin(limit)).await
}

/// Commits or rolls back a transaction, depending on its outcome.
pub(super) async fn end<T>(
    connection: &mut PgConnection,
    pool_mode: PoolMode,
    outcome: StoreResult<T>,
) -> StoreResult<T> {
    match outcome {
        Ok(value) => execute(connection, pool_mode.commit()).await.map(|()| value),
        Err(fault) => {
            if !error::is_lost(&fault) {
                execute(connection, pool_mode.rollback()).await?;
            }
            Err(fault)
        }
    }
}

async fn execute(connection: &mut PgConnection, sql: &'static str) -> StoreResult<()> {
    sqlx::raw_sql(sql).execute(connection).await.map_err(StoreError::from)?;
    Ok(())
}
