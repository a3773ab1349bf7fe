//! Keyset pagination: pages of the rows of a table in the order of a column, each after the last key of the page before.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use sutazai_core::adapter::MAX_PAGE_BYTES;
use sutazai_core::domain::Page;

use super::error::StoreResult;

/// Order of the rows of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ascending,
    Descending,
}

/// List of rows of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyset {
    pub(super) table: &'static str,
    /// Columns to read of each row.
    pub(super) columns: &'static str,
    /// Column that orders the rows; no two rows of one list have the same value.
    pub(super) key: &'static str,
    pub(super) order: Order,
    /// Columns whose content counts towards the size of a page.
    pub(super) content: &'static [&'static str],
    /// Indicates that a few rows can exceed the size of a page, so that sizes are compared before content is read. This
    /// nearly doubles the cost of a page of small rows.
    pub(super) has_large_rows: bool,
}

impl Keyset {
    /// Begins the statement of a page. The caller pushes the conditions of the list, each with a leading `AND`, and passes it
    /// to [`page`](Self::page).
    pub(super) fn select(&self) -> QueryBuilder<Sqlite> {
        let Self { table, columns, key, .. } = self;
        if !self.has_large_rows {
            return QueryBuilder::new(format!("SELECT {columns} FROM {table} WHERE true"));
        }
        let sizes: Vec<String> =
            self.content.iter().map(|column| format!("ifnull(octet_length({column}), 0)")).collect();
        QueryBuilder::new(format!(
            "SELECT {columns} FROM {table} WHERE rowid IN (SELECT listed FROM (SELECT listed, \
             sum(bytes) OVER ordered - bytes AS before, row_number() OVER ordered AS place FROM (\
             SELECT rowid AS listed, {key}, {} AS bytes FROM {table} WHERE true",
            sizes.join(" + ")
        ))
    }

    /// Completes the statement: at most `limit` rows after the key, and the row after them, which shows whether there is a
    /// next page.
    ///
    /// The content of a large row beyond the page is not read: SQLite knows the size of a text without its content. The second
    /// row is always selected: it shows that a page whose first row exceeds the bytes is not the last.
    pub(super) fn complete<'k, K>(&self, sql: &mut QueryBuilder<Sqlite>, after: Option<K>, limit: u32)
    where
        K: sqlx::Encode<'k, Sqlite> + sqlx::Type<Sqlite>,
    {
        let key = self.key;
        let (follows, order) = match self.order {
            Order::Ascending => (">", ""),
            Order::Descending => ("<", " DESC"),
        };
        if let Some(after) = after {
            sql.push(format_args!(" AND {key} {follows} ")).push_bind(after);
        }
        sql.push(format_args!(" ORDER BY {key}{order} LIMIT ")).push_bind(i64::from(limit) + 1).push(" + 0");
        if !self.has_large_rows {
            return;
        }
        sql.push(format_args!(") WINDOW ordered AS (ORDER BY {key}{order})) WHERE before <= "));
        sql.push_bind(MAX_PAGE_BYTES as i64).push(format_args!(" OR place <= 2) ORDER BY {key}{order}"));
    }

    /// Reads at most `limit` rows after the key, and builds a page of them. `cursor` returns the cursor of a row that was
    /// read.
    pub(super) async fn page<'k, K, T, C>(
        &self,
        connection: &mut SqliteConnection,
        mut sql: QueryBuilder<Sqlite>,
        (after, limit): (Option<K>, u32),
        read: impl Fn(&SqliteRow) -> StoreResult<T>,
        cursor: impl Fn(&T) -> Option<C>,
    ) -> StoreResult<Page<T, C>>
    where
        K: sqlx::Encode<'k, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.complete(&mut sql, after, limit);
        let rows = sql.build().fetch_all(connection).await?;
        let sized = rows.iter().map(|row| (self.bytes(row), || read(row)));
        Page::collect(sized, limit as usize, cursor)
    }

    /// Returns the size of the content of a row.
    fn bytes(&self, row: &SqliteRow) -> usize {
        let bytes = |column: &&str| row.try_get::<Option<&[u8]>, _>(*column).ok().flatten().map(<[u8]>::len);
        self.content.iter().filter_map(bytes).sum()
    }
}
