//! Keyset pagination: pages of the rows of a table by descending id, each after the last id of the page before.

use std::pin::pin;

use futures::{Stream, TryStreamExt};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use sutazai_core::adapter::PageBounds;
use sutazai_core::domain::Page;
use uuid::Uuid;

use super::error::StoreResult;

/// List of rows of a table, newest first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyset {
    pub(super) table: &'static str,
    /// Columns to read of each row.
    pub(super) columns: &'static str,
    /// Columns whose content counts towards the size of a page.
    pub(super) content: &'static [&'static str],
}

impl Keyset {
    /// Begins the statement of a page. The caller pushes the conditions of the list, each with a leading `AND`, and passes it
    /// to [`page`](Self::page).
    pub(super) fn select(&self) -> QueryBuilder<Postgres> {
        let Self { table, columns, .. } = self;
        QueryBuilder::new(format!("SELECT {columns} FROM {table} WHERE true"))
    }

    /// Reads at most `limit` rows with ids before this one, and builds a page of them. `cursor` returns the cursor of a row
    /// that was read.
    pub(super) async fn page<T: Send, C>(
        &self,
        connection: &mut PgConnection,
        mut sql: QueryBuilder<Postgres>,
        (before, limit): (Option<Uuid>, u32),
        read: impl Fn(&PgRow) -> StoreResult<T> + Send,
        cursor: impl Fn(&T) -> Option<C> + Send,
    ) -> StoreResult<Page<T, C>> {
        if let Some(before) = before {
            sql.push(" AND id < ").push_bind(before);
        }
        // One more row than requested shows whether there is a next page.
        sql.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit) + 1);
        collect(sql.build().fetch(connection), limit, self.content, read, cursor).await
    }
}

/// Builds a page of at most `limit` of these rows as they arrive. A row beyond the page is dropped unread: PostgreSQL cannot
/// tell the size of a `jsonb` as text without making the text, so the statement asks for all rows that the limit allows, and
/// only those of the page are held.
pub(super) async fn collect<T: Send, C>(
    rows: impl Stream<Item = sqlx::Result<PgRow>> + Send,
    limit: u32,
    content: &[&str],
    read: impl Fn(&PgRow) -> StoreResult<T> + Send,
    cursor: impl Fn(&T) -> Option<C> + Send,
) -> StoreResult<Page<T, C>> {
    let mut rows = pin!(rows);
    let (mut bounds, mut items) = (PageBounds::new(limit as usize), Vec::new());
    // To its end, so that the connection has no rows left when it is returned.
    while let Some(row) = rows.try_next().await? {
        if bounds.admits(bytes(&row, content)) {
            items.push(read(&row)?);
        }
    }
    Ok(Page::ending(items, bounds.is_full(), cursor))
}

/// Returns the size of these columns of a row in bytes; null has none.
pub(super) fn bytes(row: &PgRow, columns: &[&str]) -> usize {
    let size = |column: &&str| row.try_get_raw(*column).ok()?.as_bytes().ok().map(<[u8]>::len);
    columns.iter().filter_map(size).sum()
}
