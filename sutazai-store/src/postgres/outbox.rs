//! Outbox: messages about tasks that were removed before all their events were published.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{BusMessage, TaskId};
use sutazai_core::ports::OutboxMessage;

use super::error::StoreResult;
use super::events::events_after;
use super::keys::keys;
use super::record::{columns, decode};

/// Stores the messages about those of these tasks whose events were not all published; the caller then
/// removes the tasks.
pub(super) async fn leave(connection: &mut PgConnection, tasks: &[TaskId]) -> StoreResult<()> {
    // A task that ended in a later transaction than the relay's position has unpublished events. In the same
    // transaction, the place of each of its events decides.
    const UNPUBLISHED: &str = concat!(
        "SELECT ",
        columns!(),
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
    const LEAVE: &str = "\
        INSERT INTO outbox (id, topic, body, trace)
        SELECT id, topic, body, trace FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
            AS new (id, topic, body, trace)";
    let unpublished = sqlx::query(UNPUBLISHED).bind(keys(tasks)).fetch_all(&mut *connection).await?;
    for row in &unpublished {
        let task = decode(row)?.task;
        let all = events_after(connection, (task.id, 0, u32::MAX)).await?;
        let messages: Vec<BusMessage> = all.iter().map(|event| BusMessage::of_event(event, &task)).collect();
        sqlx::query(LEAVE)
            .bind(messages.iter().map(|message| message.id.as_str()).collect::<Vec<_>>())
            .bind(messages.iter().map(|message| message.topic.as_str()).collect::<Vec<_>>())
            .bind(messages.iter().map(|message| message.body.as_str()).collect::<Vec<_>>())
            .bind(
                messages
                    .iter()
                    .map(|message| message.trace.as_ref().map(ToString::to_string))
                    .collect::<Vec<_>>(),
            )
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Returns the first `limit` messages, in order.
pub(super) async fn first(connection: &mut PgConnection, limit: u32) -> StoreResult<Vec<OutboxMessage>> {
    const FIRST: &str = "SELECT number, id, topic, body, trace FROM outbox ORDER BY number LIMIT $1";
    let rows = sqlx::query(FIRST).bind(i64::from(limit)).fetch_all(connection).await?;
    let read = |row: &PgRow| -> StoreResult<OutboxMessage> {
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
pub(super) async fn delete_published(connection: &mut PgConnection, numbers: &[u64]) -> StoreResult<()> {
    let numbers: Vec<i64> = numbers.iter().map(|number| number.cast_signed()).collect();
    sqlx::query("DELETE FROM outbox WHERE number = ANY($1)").bind(numbers).execute(connection).await?;
    Ok(())
}
