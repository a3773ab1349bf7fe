//! Outbox: messages about tasks that were removed before all their events were published.

use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Row, SqliteConnection};
use sutazai_core::domain::{BusMessage, TaskId};
use sutazai_core::ports::OutboxMessage;

use super::error::StoreResult;
use super::record::{columns, decode_event};
use super::statement::bulk;
use super::writer::Transaction;
use crate::task_repository::Record;

/// Stores the messages about those of these tasks whose events were not all published; the caller then
/// removes the tasks.
pub(super) async fn leave(tx: &mut Transaction, tasks: &[TaskId]) -> StoreResult<()> {
    const POSITION: &str = "SELECT CAST(position AS INTEGER) FROM relay";
    const LAST: &str = "SELECT task_id, max(position) FROM task_events WHERE task_id IN (VALUES";
    const TASK: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE id = ?");
    const EVENTS: &str = "SELECT sequence, at, kind FROM task_events WHERE task_id = ? ORDER BY sequence";
    const LEAVE: &str = "INSERT INTO outbox (id, topic, body, trace) VALUES";
    let connection = &mut tx.connection;
    let Some(published) = sqlx::query(POSITION).fetch_optional(&mut *connection).await? else {
        return Ok(());
    };
    let published: i64 = published.try_get(0)?;
    let last = (LAST, 1, ") GROUP BY task_id ORDER BY task_id");
    for row in bulk(connection, last, tasks, |id, to| Ok(to.add(id.0)?)).await? {
        if row.try_get::<i64, _>(1)? <= published {
            continue;
        }
        let id = TaskId(row.try_get(0)?);
        let task = Record::decode(&sqlx::query(TASK).bind(id.0).fetch_one(&mut *connection).await?).task;
        let events = sqlx::query(EVENTS).bind(id.0).fetch_all(&mut *connection).await?;
        let message_of = |row: &SqliteRow| Ok(BusMessage::of_event(&decode_event(id, row)?, &task));
        let messages = events.iter().map(message_of).collect::<StoreResult<Vec<BusMessage>>>()?;
        bulk(connection, (LEAVE, 4, ""), &messages, |message, to| {
            to.add(message.id.as_str())?;
            to.add(message.topic.as_str())?;
            to.add(message.body.as_str())?;
            to.add(message.trace.as_ref().map(ToString::to_string))?;
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// Returns the first `limit` messages, in order.
pub(super) async fn first(connection: &mut SqliteConnection, limit: u32) -> StoreResult<Vec<OutboxMessage>> {
    const FIRST: &str = "SELECT number, id, topic, body, trace FROM outbox ORDER BY number LIMIT ?";
    let rows = sqlx::query(FIRST).bind(limit).fetch_all(connection).await?;
    let read = |row: &SqliteRow| -> StoreResult<OutboxMessage> {
        Ok(OutboxMessage {
            number: row.try_get::<i64, _>(0)?.unsigned_abs(),
            message: BusMessage {
                id: row.try_get(1)?,
                topic: row.try_get(2)?,
                body: row.try_get(3)?,
                trace: row.try_get::<Option<&str>, _>(4)?.map(str::parse).transpose()?,
            },
        })
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
