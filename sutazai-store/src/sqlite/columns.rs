//! Columns of the entities in SQLite: parts of statements, bound values, and rows.

use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Decode, Row as _, Sqlite, Type};
use sutazai_core::Error;
use uuid::Uuid;

use super::error::{StoreError, StoreResult};
use super::statement::{instant, nanos};
use crate::columns::{Cell, Column, Entity, Kind, Row, join, names};

impl Row for SqliteRow {
    #[inline]
    fn cell(&self, place: usize, kind: Kind) -> StoreResult<Cell<'_>> {
        let cell = match kind {
            Kind::Id => content::<Uuid>(self, place)?.map(Cell::Id),
            Kind::Text => content::<&str>(self, place)?.map(|text| Cell::Text(text.into())),
            Kind::Json => content::<&str>(self, place)?.map(|json| Cell::Json(json.into())),
            Kind::Number => content(self, place)?.map(Cell::Number),
            Kind::Real => content(self, place)?.map(Cell::Real),
            Kind::Flag => content(self, place)?.map(Cell::Flag),
            Kind::Time => content::<i64>(self, place)?.map(|nanos| Cell::Time(instant(nanos))),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }
}

/// Returns the content of a column. SQLite checks neither that text is UTF-8 nor that an id has 16 bytes, so what
/// cannot be decoded is an error of the row and not of the database.
fn content<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
    row: &'r SqliteRow,
    place: usize,
) -> StoreResult<Option<T>> {
    row.try_get::<Option<T>, _>(place).map_err(|e| match e {
        sqlx::Error::ColumnDecode { .. } => {
            Error::internal("a stored value cannot be read").with_source(e).into()
        }
        e => StoreError::from(e),
    })
}

/// Returns the statement that inserts one row with the values of [`bound`], and then those of `more` columns.
pub(super) fn insert<E: Entity>(table: &str, more: &[&str]) -> String {
    let columns: Vec<&str> =
        E::COLUMNS.iter().map(|column| column.name).chain(more.iter().copied()).collect();
    let placeholders = vec!["?"; columns.len()].join(", ");
    format!("INSERT INTO {table} ({}) VALUES ({placeholders})", columns.join(", "))
}

/// Returns the beginning of the statement that inserts many rows, for [`bulk`](super::statement::bulk).
pub(super) fn insert_many<E: Entity>(table: &str) -> String {
    format!("INSERT INTO {table} ({}) VALUES", names(E::COLUMNS))
}

/// Returns the assignments of the values that [`bind`] binds.
pub(super) fn assignments<E: 'static>(columns: impl IntoIterator<Item = &'static Column<E>>) -> String {
    join(columns, |_, column| format!("{} = ?", column.name))
}

/// Returns the values of all columns, bound for [`insert`].
pub(super) fn bound<E: Entity>(entity: &E) -> StoreResult<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    bind(&mut arguments, E::COLUMNS, entity)?;
    Ok(arguments)
}

/// Binds the values of these columns.
pub(super) fn bind<E: 'static>(
    to: &mut SqliteArguments,
    columns: impl IntoIterator<Item = &'static Column<E>>,
    entity: &E,
) -> StoreResult<()> {
    for column in columns {
        match (column.get)(entity)? {
            Cell::Null => to.add(None::<i64>),
            Cell::Id(id) => to.add(id),
            Cell::Text(text) | Cell::Json(text) => to.add(text),
            Cell::Number(number) => to.add(number),
            Cell::Real(real) => to.add(real),
            Cell::Flag(flag) => to.add(flag),
            Cell::Time(time) => to.add(nanos(time)),
        }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use sqlx::{Connection, SqliteConnection};

    use super::super::database::Database;
    use super::super::statement::connect_options;
    use super::*;
    use crate::columns::checks::{
        assert_entities_are_kept, assert_lists_match, assert_message_is_kept, assert_tasks_are_kept,
    };
    use crate::tables::TASKS;

    #[tokio::test]
    async fn lists_have_the_columns_of_the_tables() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("columns.db");
        super::super::migrate_up(&path).await.unwrap();
        let mut connection = SqliteConnection::connect_with(&connect_options(&path)).await.unwrap();
        let sql = "SELECT tables.name, columns.name FROM sqlite_schema AS tables, \
                   pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
                   AND tables.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                   AND tables.name NOT LIKE 'chunk\\_words\\_%' ESCAPE '\\'";
        let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
        for row in sqlx::query(sql).fetch_all(&mut connection).await.unwrap() {
            tables.entry(row.get(0)).or_default().insert(row.get(1));
        }
        assert_lists_match(
            &tables,
            &[
                ("task_events", &["position", "owner"]),
                ("agent_messages", &["number"]),
                ("outbox", &["number"]),
                ("relay", &["id"]),
                ("metric_series", &["id"]),
                ("metric_samples", &["series_id"]),
                ("users", &["username_key", "email_key"]),
                ("spent_refresh_tokens", &["session_id", "hash"]),
                ("conversations", &["message_count", "message_bytes"]),
                ("documents", &["begun_at", "complete"]),
                ("chunks", &["id"]),
            ],
            &["deleted_sessions", "event_log_begin", "chunk_words"],
        );
    }

    #[tokio::test]
    async fn every_column_is_read_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("columns.db");
        let stores = super::super::open(&path).await.unwrap();
        let database = Database::open(&path).await.unwrap();
        let write = database.writer().run(TASKS.insert(), |transaction| {
            Box::pin(async move { Ok(assert_tasks_are_kept(transaction).await) })
        });
        assert_message_is_kept(&stores, &write.await.unwrap()).await;
        assert_entities_are_kept(&stores).await;
    }
}
