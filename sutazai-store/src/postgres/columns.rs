//! Columns of the entities in PostgreSQL: parts of statements, bound values, and rows.

use std::fmt::Write;

use serde_json::value::RawValue;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::types::Json;
use sqlx::{Arguments, Row as _};
use uuid::Uuid;

use super::error::StoreResult;
use super::text::{given, given_json, kept, kept_json};
use super::time::Times;
use crate::columns::{Cell, Column, Entity, Kind, Row, join, names};

impl Row for PgRow {
    #[inline]
    fn cell(&self, place: usize, kind: Kind) -> StoreResult<Cell<'_>> {
        let cell = match kind {
            Kind::Id => self.try_get::<Option<Uuid>, _>(place)?.map(Cell::Id),
            Kind::Text => self.try_get::<Option<&str>, _>(place)?.map(|text| Cell::Text(given(text))),
            Kind::Json => self
                .try_get::<Option<Json<&RawValue>>, _>(place)?
                .map(|Json(json)| Cell::Json(given_json(json.get()))),
            // Unchecked, since a number may be a `smallint`, an `integer` or a `bigint`.
            Kind::Number => self.try_get_unchecked::<Option<i64>, _>(place)?.map(Cell::Number),
            Kind::Real => self.try_get::<Option<f64>, _>(place)?.map(Cell::Real),
            Kind::Flag => self.try_get::<Option<bool>, _>(place)?.map(Cell::Flag),
            Kind::Time => self.time_if_any(place)?.map(Cell::Time),
        };
        Ok(cell.unwrap_or(Cell::Null))
    }
}

/// Returns the statement that inserts one row with the values of [`bound`], and then those of `more` columns.
pub(super) fn insert<E: Entity>(table: &str, more: &[&str]) -> String {
    let (mut columns, mut values) = (names(E::COLUMNS), values(E::COLUMNS));
    for (place, name) in (E::COLUMNS.len() + 1..).zip(more) {
        // Writing to a `String` cannot fail.
        let _ = write!(columns, ", {name}");
        let _ = write!(values, ", ${place}");
    }
    format!("INSERT INTO {table} ({columns}) VALUES ({values})")
}

/// Returns the statement that inserts the rows of [`bound_many`], with one text for any number of them.
pub(super) fn insert_many<E: Entity>(table: &str) -> String {
    let (columns, values) = (names(E::COLUMNS), unnested(E::COLUMNS));
    let arrays = arrays(1, E::COLUMNS);
    format!("INSERT INTO {table} ({columns}) SELECT {values} FROM unnest({arrays}) AS new ({columns})")
}

/// Returns the placeholders of values that [`bind`] binds, the first of which is `$1`.
pub(super) fn values<E: 'static>(columns: impl IntoIterator<Item = &'static Column<E>>) -> String {
    join(columns, |place, column| format!("${}{}", place + 1, cast(column)))
}

/// Returns the assignments of the values that [`bind`] binds, the first of which is `$1`.
pub(super) fn assignments<E: 'static>(columns: impl IntoIterator<Item = &'static Column<E>>) -> String {
    join(columns, |place, column| format!("{} = ${}{}", column.name, place + 1, cast(column)))
}

/// Returns the placeholders of the arrays that [`bind_arrays`] binds for `unnest`, from `$first`.
pub(super) fn arrays<E: 'static>(
    first: usize,
    columns: impl IntoIterator<Item = &'static Column<E>>,
) -> String {
    join(columns, |place, column| {
        let element = match column.kind {
            Kind::Id => "uuid",
            Kind::Text | Kind::Json => "text",
            Kind::Number => "bigint",
            Kind::Real => "float8",
            Kind::Flag => "boolean",
            Kind::Time => "timestamptz",
        };
        format!("${}::{element}[]", place + first)
    })
}

/// Returns the expressions that select the columns from the arrays.
pub(super) fn unnested<E: 'static>(columns: impl IntoIterator<Item = &'static Column<E>>) -> String {
    join(columns, |_, column| format!("{}{}", column.name, cast(column)))
}

/// Returns the cast of a value that is bound as text.
pub(super) fn cast<E>(column: &Column<E>) -> &'static str {
    column.cast.unwrap_or(if column.kind == Kind::Json { "::jsonb" } else { "" })
}

/// Returns the values of all columns, bound for [`insert`].
pub(super) fn bound<E: Entity>(entity: &E) -> StoreResult<PgArguments> {
    let mut arguments = PgArguments::default();
    bind(&mut arguments, E::COLUMNS, entity)?;
    Ok(arguments)
}

/// Returns the values of all columns of these entities, bound for [`insert_many`].
pub(super) fn bound_many<E: Entity>(entities: &[&E]) -> StoreResult<PgArguments> {
    let mut arguments = PgArguments::default();
    bind_arrays(&mut arguments, E::COLUMNS, entities)?;
    Ok(arguments)
}

/// Binds the values of these columns.
pub(super) fn bind<E: 'static>(
    to: &mut PgArguments,
    columns: impl IntoIterator<Item = &'static Column<E>>,
    entity: &E,
) -> StoreResult<()> {
    for column in columns {
        let cell = (column.get)(entity)?;
        match column.kind {
            Kind::Id => to.add(cell.id()),
            Kind::Text => to.add(cell.text().map(kept)),
            Kind::Json => to.add(cell.json().map(kept_json)),
            Kind::Number => to.add(cell.number()),
            Kind::Real => to.add(cell.real()),
            Kind::Flag => to.add(cell.flag()),
            Kind::Time => to.add(cell.time()),
        }?;
    }
    Ok(())
}

/// Binds one array for each of these columns, with the values of all entities.
pub(super) fn bind_arrays<E: 'static>(
    to: &mut PgArguments,
    columns: impl IntoIterator<Item = &'static Column<E>>,
    entities: &[&E],
) -> StoreResult<()> {
    for column in columns {
        let cells = entities.iter().map(|entity| (column.get)(entity)).collect::<StoreResult<Vec<_>>>()?;
        let cells = cells.into_iter();
        match column.kind {
            Kind::Id => to.add(cells.map(Cell::id).collect::<Vec<_>>()),
            Kind::Text => to.add(cells.map(|cell| cell.text().map(kept)).collect::<Vec<_>>()),
            Kind::Json => to.add(cells.map(|cell| cell.json().map(kept_json)).collect::<Vec<_>>()),
            Kind::Number => to.add(cells.map(Cell::number).collect::<Vec<_>>()),
            Kind::Real => to.add(cells.map(Cell::real).collect::<Vec<_>>()),
            Kind::Flag => to.add(cells.map(Cell::flag).collect::<Vec<_>>()),
            Kind::Time => to.add(cells.map(Cell::time).collect::<Vec<_>>()),
        }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::database::Database;
    use super::super::plans::place::database;
    use super::*;
    use crate::columns::checks::{
        assert_entities_are_kept, assert_lists_match, assert_message_is_kept, assert_tasks_are_kept,
    };
    use crate::tables::TASKS;

    #[tokio::test]
    async fn lists_have_the_columns_of_the_tables() {
        let url = database().await;
        crate::migrations::up(&url).await.unwrap();
        let mut connection = Database::new(&url).unwrap().take().await.unwrap();
        let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns \
                   WHERE table_schema = current_schema()";
        let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
        for row in sqlx::query(sql).fetch_all(&mut *connection).await.unwrap() {
            tables.entry(row.get(0)).or_default().insert(row.get(1));
        }
        assert_lists_match(
            &tables,
            &[
                ("tasks", &["active_key", "ended_in", "history"]),
                ("agent_messages", &["number"]),
                ("outbox", &["number"]),
                ("relay", &["id"]),
                ("metric_series", &["id"]),
                ("metric_samples", &["series_id"]),
                ("users", &["username_key", "email_key"]),
                ("spent_refresh_tokens", &["session_id", "hash"]),
                ("conversations", &["message_count", "message_bytes"]),
                ("chunks", &["words"]),
            ],
            &["deleted_sessions", "event_log", "event_log_begin", "leases", "queue", "sutazai_schema"],
        );
    }

    #[tokio::test]
    async fn every_column_is_read_as_it_was_written() {
        let url = database().await;
        let stores = crate::open(&url).await.unwrap();
        let write = Database::new(&url).unwrap();
        let write = write.write(TASKS.insert(), (), |transaction, ()| {
            Box::pin(async move { Ok(assert_tasks_are_kept(transaction).await) })
        });
        assert_message_is_kept(&stores, &write.await.unwrap()).await;
        assert_entities_are_kept(&stores).await;
    }
}
