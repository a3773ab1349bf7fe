//! Statements over many rows, and how values stand in columns.
//!
//! A statement costs a trip to the connection's thread and back, so many rows go into one. Its text depends on
//! the number of rows; rows go in groups of 128, 64, 32 ... 1, so that few texts are ever prepared.

use std::path::Path;

use chrono::{DateTime, Utc};
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Arguments, AssertSqlSafe, SqliteConnection};
use std::time::Duration;

use super::fault::Outcome;

/// At most so many rows in one statement; a power of two.
const GROUP: usize = 128;

/// Runs `{head} (?, ...), (?, ...) ... {tail}` over `rows` with as many `?` a row as `bind` adds; gives the
/// rows that come back.
pub(super) async fn bulk<T: Sync>(
    connection: &mut SqliteConnection,
    (head, columns, tail): (&str, usize, &str),
    rows: &[T],
    bind: impl Fn(&T, &mut SqliteArguments) -> Outcome<()> + Send + Sync,
) -> Outcome<Vec<SqliteRow>> {
    let mut found = Vec::new();
    let mut rest = rows;
    while !rest.is_empty() {
        let size = GROUP.min(1 << rest.len().ilog2());
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

/// The keys of the rows of one page and of the row after it, so that content beyond it is not read: SQLite knows the size of a
/// text without its content. `$rows` select the key and `bytes` of as many rows as the page may have, and one more, in
/// `$order`; `$max` is the parameter with the bytes of a page.
macro_rules! within_bytes {
    ($key:literal, $order:literal, $max:literal, $($rows:expr),+) => {
        concat!(
            "SELECT ", $key, " FROM (SELECT ", $key, ", sum(bytes) OVER (ORDER BY ", $order, ") - bytes AS before FROM (",
            $($rows),+,
            ")) WHERE before <= ", $max
        )
    };
}
pub(super) use within_bytes;

/// An instant as nanoseconds since 1970. One outside 1677 to 2262 becomes the nearest that fits.
pub(super) fn nanos(at: DateTime<Utc>) -> i64 {
    at.timestamp_nanos_opt().unwrap_or(if at.timestamp() < 0 { i64::MIN } else { i64::MAX })
}

/// The instant of nanoseconds since 1970.
pub(super) fn instant(nanos: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(nanos)
}

/// How every connection is made: WAL, so that readers never wait for the writer, and a commit that returns
/// only when the disk has it.
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
