//! Outbox: messages about tasks that were removed before all their events were published.

use std::sync::LazyLock;

use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Row, SqliteConnection};
use sutazai_core::domain::{BusMessage, TaskId};
use sutazai_core::ports::OutboxMessage;

use super::columns::{bind, insert_many};
use super::error::StoreResult;
use super::statement::bulk;
use super::writer::Transaction;
use crate::columns::{Entity, decode, decode_task, event_columns, outbox_columns, task_columns};

/// Stores the messages about those of these tasks whose events were not all published; the caller then
/// removes the tasks.
pub(super) async fn leave(tx: &mut Transaction, tasks: &[TaskId]) -> StoreResult<()> {
    const POSITION: &str = "SELECT CAST(position AS INTEGER) FROM relay";
    const LAST: &str = "SELECT task_id, max(position) AS last FROM task_events WHERE task_id IN (VALUES";
    const TASK: &str = concat!("SELECT ", task_columns!(), " FROM tasks WHERE id = ?");
    const EVENTS: &str =
        concat!("SELECT ", event_columns!(), " FROM task_events WHERE task_id = ? ORDER BY sequence");
    static LEAVE: LazyLock<String> = LazyLock::new(|| insert_many::<BusMessage>("outbox"));
    let connection = &mut tx.connection;
    let Some(published) = sqlx::query(POSITION).fetch_optional(&mut *connection).await? else {
        return Ok(());
    };
    let published: i64 = published.try_get(0)?;
    let last = (LAST, 1, ") GROUP BY task_id ORDER BY task_id");
    for row in bulk(connection, last, tasks, |id, to| Ok(to.add(id.0)?)).await? {
        if row.try_get::<i64, _>("last")? <= published {
            continue;
        }
        let id = TaskId(row.try_get("task_id")?);
        let task = decode_task(&sqlx::query(TASK).bind(id.0).fetch_one(&mut *connection).await?)?.task;
        let events = sqlx::query(EVENTS).bind(id.0).fetch_all(&mut *connection).await?;
        let message_of = |row: &SqliteRow| Ok(BusMessage::of_event(&decode(row)?, &task));
        let messages = events.iter().map(message_of).collect::<StoreResult<Vec<BusMessage>>>()?;
        let leave = (LEAVE.as_str(), BusMessage::COLUMNS.len(), "");
        bulk(connection, leave, &messages, |message, to| bind(to, BusMessage::COLUMNS, message)).await?;
    }
    Ok(())
}

/// Returns the first `limit` messages, in order.
pub(super) async fn first(connection: &mut SqliteConnection, limit: u32) -> StoreResult<Vec<OutboxMessage>> {
    const FIRST: &str =
        concat!("SELECT ", outbox_columns!(), ", number FROM outbox ORDER BY number LIMIT ? + 0");
    let rows = sqlx::query(FIRST).bind(limit).fetch_all(connection).await?;
    let read = |row: &SqliteRow| -> StoreResult<OutboxMessage> {
        let number = row.try_get::<i64, _>("number")?.unsigned_abs();
        Ok(OutboxMessage { number, message: decode(row)? })
    };
    rows.iter().map(read).collect()
}

/// Deletes messages that were published.
pub(super) async fn delete_published(tx: &mut Transaction, numbers: &[u64]) -> StoreResult<()> {
    const DELETE: &str = "DELETE FROM outbox WHERE number IN (VALUES";
    bulk(&mut tx.connection, (DELETE, 1, ")"), numbers, |number, to| Ok(to.add(number.cast_signed())?))
        .await?;
    Ok(())
}
