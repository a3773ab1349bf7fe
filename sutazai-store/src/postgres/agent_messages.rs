//! Messages between agents as rows.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{
    AgentMessage, AgentMessageContent, AgentMessageId, AgentMessagePage, Heartbeat, TaskId,
};

use super::error::StoreResult;
use super::keys::keys;
use super::page::fill;
use super::record::json_column_bytes;
use super::text::{from_json, json};
use super::time::Times;
use crate::messages::{column, content};

/// Inserts messages in their order.
pub(super) async fn insert(connection: &mut PgConnection, messages: &[AgentMessage]) -> StoreResult<()> {
    const INSERT: &str = "\
        INSERT INTO agent_messages (id, task_id, correlation_id, type, source, target, payload, timestamp)
        SELECT id, task_id, correlation_id, type, source, target, payload::jsonb, timestamp
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::timestamptz[])
            AS new (id, task_id, correlation_id, type, source, target, payload, timestamp)";
    if messages.is_empty() {
        return Ok(());
    }
    let contents =
        messages.iter().map(|message| column(&message.content)).collect::<StoreResult<Vec<_>>>()?;
    let payloads = contents.iter().map(|(_, payload)| json(payload)).collect::<StoreResult<Vec<_>>>()?;
    sqlx::query(INSERT)
        .bind(messages.iter().map(|message| message.id.0).collect::<Vec<_>>())
        .bind(messages.iter().map(|message| message.task_id.0).collect::<Vec<_>>())
        .bind(messages.iter().map(|message| message.correlation_id.0).collect::<Vec<_>>())
        .bind(contents.iter().map(|(kind, _)| *kind).collect::<Vec<_>>())
        .bind(messages.iter().map(|message| message.source.as_str()).collect::<Vec<_>>())
        .bind(messages.iter().map(|message| message.target.as_str()).collect::<Vec<_>>())
        .bind(payloads)
        .bind(messages.iter().map(|message| message.timestamp).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Records a `HEARTBEAT` message from each of these tasks to the tasks that wait for it; it replaces the
/// previous one.
pub(super) async fn give_signs(
    connection: &mut PgConnection,
    held: &[TaskId],
    now: DateTime<Utc>,
) -> StoreResult<()> {
    const WAITED_FOR: &str = "\
        SELECT DISTINCT child.id, child.agent, child.attempt, child.lease_until, waiting.id, waiting.agent
        FROM task_waits JOIN tasks AS child ON child.id = child_id JOIN tasks AS waiting ON waiting.id = task_waits.parent_id
        WHERE open AND child_id = ANY($1) AND child.status = 'processing'";
    const DELETE: &str = "DELETE FROM agent_messages WHERE correlation_id = ANY($1) AND type = 'HEARTBEAT'";
    let rows = sqlx::query(WAITED_FOR).bind(keys(held)).fetch_all(&mut *connection).await?;
    let message = |row: &PgRow| -> StoreResult<AgentMessage> {
        let attempt = row.try_get::<i32, _>(2)?.cast_unsigned();
        Ok(AgentMessage::new(
            (row.try_get(1)?, row.try_get(5)?),
            (TaskId(row.try_get(4)?), TaskId(row.try_get(0)?)),
            AgentMessageContent::Heartbeat(Heartbeat { attempt, lease_until: row.time(3)? }),
            now,
        ))
    };
    let messages = rows.iter().map(message).collect::<StoreResult<Vec<_>>>()?;
    let of: Vec<TaskId> = messages.iter().map(|message| message.correlation_id).collect();
    sqlx::query(DELETE).bind(keys(&of)).execute(&mut *connection).await?;
    insert(connection, &messages).await
}

/// Deletes the messages of these tasks, on either side.
pub(super) async fn forget(connection: &mut PgConnection, tasks: &[TaskId]) -> StoreResult<()> {
    for sql in [
        "DELETE FROM agent_messages WHERE task_id = ANY($1)",
        "DELETE FROM agent_messages WHERE correlation_id = ANY($1)",
    ] {
        sqlx::query(sql).bind(keys(tasks)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns at most `limit` messages of a task, 1 to 100, after this number.
pub(super) async fn read(
    connection: &mut PgConnection,
    (id, after, limit): (TaskId, Option<u64>, u32),
) -> StoreResult<AgentMessagePage> {
    const PAGE: &str = "\
        (SELECT number, id, task_id, correlation_id, type, source, target, payload, timestamp FROM agent_messages
            WHERE task_id = $1 AND number > $2 ORDER BY number LIMIT $3)
        UNION ALL
        (SELECT number, id, task_id, correlation_id, type, source, target, payload, timestamp FROM agent_messages
            WHERE correlation_id = $1 AND task_id <> $1 AND number > $2 ORDER BY number LIMIT $3)
        ORDER BY number LIMIT $3";
    let limit = limit.clamp(1, 100);
    // One more row than requested shows whether there is a next page.
    let rows = sqlx::query(PAGE)
        .bind(id.0)
        .bind(after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX)))
        .bind(i64::from(limit) + 1)
        .fetch(connection);
    let read = |row: &PgRow| -> StoreResult<(u64, AgentMessage)> {
        let message = AgentMessage {
            id: AgentMessageId(row.try_get(1)?),
            task_id: TaskId(row.try_get(2)?),
            correlation_id: TaskId(row.try_get(3)?),
            content: content(row.try_get(4)?, from_json(row.try_get::<Json<&RawValue>, _>(7)?.get())?)?,
            source: row.try_get(5)?,
            target: row.try_get(6)?,
            timestamp: row.time(8)?,
        };
        Ok((row.try_get::<i64, _>(0)?.unsigned_abs(), message))
    };
    let bytes = |row: &PgRow| json_column_bytes(row, "payload");
    let (messages, more) = fill(rows, limit as usize, bytes, read).await?;
    Ok(AgentMessagePage::ending(messages, more))
}
