//! Outbox: messages about tasks that were removed before all their events were published.

use std::sync::LazyLock;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{BusMessage, TaskId};
use sutazai_core::ports::OutboxMessage;

use super::columns::{bound_many, insert_many};
use super::error::StoreResult;
use super::events::events_after;
use super::keys::keys;
use crate::columns::{decode, decode_task, outbox_columns, task_columns};

/// Stores the messages about those of these tasks whose events were not all published; the caller then
/// removes the tasks.
pub(super) async fn leave(connection: &mut PgConnection, tasks: &[TaskId]) -> StoreResult<()> {
    // A task that ended in a later transaction than the relay's position has unpublished events. In the same
    // transaction, the place of each of its events decides.
    const UNPUBLISHED: &str = concat!(
        "SELECT ",
        task_columns!(text),
        " FROM tasks WHERE id IN (
            SELECT ended.id FROM tasks AS ended CROSS JOIN (
                SELECT trunc(position::numeric / 18446744073709551616)::text::xid8 AS transaction,
                    mod(position::numeric, 18446744073709551616) AS number FROM relay
            ) AS told
            WHERE ended.id = ANY($1) AND (ended.ended_in > told.transaction
                OR ended.ended_in = told.transaction AND EXISTS (
                    SELECT 1 FROM event_log CROSS JOIN LATERAL unnest(event_log.tasks) WITH ORDINALITY AS event (task, place)
                    WHERE event_log.transaction = told.transaction AND event.task = ended.id
                        AND event_log.number * 16777216::numeric + event.place > told.number))) ORDER BY id"
    );
    static LEAVE: LazyLock<String> = LazyLock::new(|| insert_many::<BusMessage>("outbox"));
    let unpublished = sqlx::query(UNPUBLISHED).bind(keys(tasks)).fetch_all(&mut *connection).await?;
    for row in &unpublished {
        let task = decode_task(row)?.task;
        let all = events_after(connection, (task.id, 0, u32::MAX)).await?;
        let messages: Vec<BusMessage> = all.iter().map(|event| BusMessage::of_event(event, &task)).collect();
        let arguments = bound_many(&messages.iter().collect::<Vec<_>>())?;
        sqlx::query_with(LEAVE.as_str(), arguments).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns the first `limit` messages, in order.
pub(super) async fn first(connection: &mut PgConnection, limit: u32) -> StoreResult<Vec<OutboxMessage>> {
    const FIRST: &str =
        concat!("SELECT ", outbox_columns!(), ", number FROM outbox ORDER BY number LIMIT $1");
    let rows = sqlx::query(FIRST).bind(i64::from(limit)).fetch_all(connection).await?;
    let read = |row: &PgRow| -> StoreResult<OutboxMessage> {
        let number = row.try_get::<i64, _>("number")?.unsigned_abs();
        Ok(OutboxMessage { number, message: decode(row)? })
    };
    rows.iter().map(read).collect()
}

/// Deletes messages that were published.
pub(super) async fn delete_published(connection: &mut PgConnection, numbers: &[u64]) -> StoreResult<()> {
    let numbers: Vec<i64> = numbers.iter().map(|number| number.cast_signed()).collect();
    sqlx::query("DELETE FROM outbox WHERE number = ANY($1)").bind(numbers).execute(connection).await?;
    Ok(())
}
