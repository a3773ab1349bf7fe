//! Tasks and their events as rows: statements and bindings.

use std::sync::LazyLock;

use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;
use sutazai_core::domain::{TaskEvent, UserId};
use sutazai_core::task_store::Record;

use super::columns::{bind, insert_many};
use super::error::StoreResult;
use crate::columns::{Entity, join, names, summary_columns};

/// Statement that adds tasks, for [`bulk`](super::statement::bulk).
pub(super) static INSERT: LazyLock<String> = LazyLock::new(|| insert_many::<Record>("tasks"));

/// Statement that writes the columns that change during the life of a task, after its id.
pub(super) static UPDATE: LazyLock<String> = LazyLock::new(|| {
    let assignments =
        join(Record::changes(), |place, column| format!("{} = column{}", column.name, place + 2));
    format!("UPDATE tasks SET {assignments} FROM (VALUES")
});

/// Statement that adds events of tasks.
pub(super) static INSERT_EVENTS: LazyLock<String> =
    LazyLock::new(|| format!("INSERT INTO task_events ({}, owner) VALUES", names(TaskEvent::COLUMNS)));

/// Columns of a summary, as SELECT names them. They end with parts of the result; a damaged one has none.
pub(super) static SUMMARY: LazyLock<String> = LazyLock::new(|| {
    let columns = names(summary_columns());
    let severities = "\
        (SELECT json_group_array(CASE type WHEN 'object' THEN value ->> '$.severity' END)
            FROM json_each(result, '$.findings'))";
    format!(
        "{columns}, CASE WHEN json_valid(result) THEN result ->> '$.priority_level' END AS priority_level,
            CASE WHEN json_valid(result) THEN
                CASE json_type(result, '$.findings') WHEN 'array' THEN {severities} END
            END AS severities"
    )
});

/// Binds the values of [`UPDATE`].
pub(super) fn bind_changes(record: &Record, to: &mut SqliteArguments) -> StoreResult<()> {
    to.add(record.task.id.0)?;
    bind(to, Record::changes(), record)
}

/// Binds the values of [`INSERT_EVENTS`].
pub(super) fn bind_event(
    (owner, event): &(Option<UserId>, TaskEvent),
    to: &mut SqliteArguments,
) -> StoreResult<()> {
    bind(to, TaskEvent::COLUMNS, event)?;
    Ok(to.add(owner.map(|owner| owner.0))?)
}
