//! Statements over many rows, and conversions of values to columns.
//!
//! A statement costs a round trip to the thread of the connection, so one statement handles many rows. Its
//! text depends on the number of rows; they are split into groups of 128, 64, 32 ... 1, so that at most eight
//! texts per statement are prepared.
//!
//! A limit is written as `LIMIT ? + 0`. SQLite looks at a bare parameter while it plans a statement, and therefore plans it
//! again whenever the parameter is bound.

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use std::time::Duration;

use super::error::StoreResult;

/// Rows in one statement at most; a power of two.
const MAX_ROWS: usize = 128;

/// Runs `{head} (?, ...), (?, ...) ... {tail}` over `rows`, with `columns` placeholders per row that `bind`
/// fills; returns the rows that the statements return.
pub(super) async fn bulk<T: Sync>(
    connection: &mut SqliteConnection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    bind: impl Fn(&T, &mut SqliteArguments) -> StoreResult<()> + Send + Sync,
) -> StoreResult<Vec<SqliteRow>> {
    let mut found = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let size = MAX_ROWS.min(1 << rest.len().ilog2());
        let (group, after) = rest.split_at(size);
        rest = after;
        let mut arguments = SqliteArguments::default();
        arguments.reserve(size * columns, 0);
        for row in group {
            bind(row, &mut arguments)?;
        }
        let tuple = format!("(?{})", ", ?".repeat(columns - 1));
        let sql = format!("{head} {tuple}{} {tail}", format!(", {tuple}").repeat(size - 1));
        found.extend(sqlx::query_with(AssertSqlSafe(sql), arguments).fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Converts a time to nanoseconds since 1970, clamped to the years 1677 to 2262 that fit.
pub(super) fn nanos(at: DateTime<Utc>) -> i64 {
    at.timestamp_nanos_opt().unwrap_or(if at.timestamp() < 0 { i64::MIN } else { i64::MAX })
}

/// Converts nanoseconds since 1970 to a time.
pub(super) fn instant(nanos: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(nanos)
}

/// Options of every connection: WAL, so that readers never wait for the writer, and `synchronous=FULL`, so
/// that a commit returns only after the sync of the disk.
pub(super) fn connect_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(5))
        .statement_cache_capacity(256)
        .row_buffer_size(256)
}
