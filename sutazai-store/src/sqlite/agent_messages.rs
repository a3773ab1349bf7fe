//! Messages between agents as rows.

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Row, SqliteConnection};
use sutazai_core::domain::page::fill_page;
use sutazai_core::domain::{
    AgentMessage, AgentMessageContent, AgentMessageId, AgentMessagePage, Heartbeat, MAX_PAGE_BYTES, TaskId,
};

use super::error::StoreResult;
use super::statement::{bulk, instant, nanos, within_bytes};
use crate::messages::{column, content};

/// Inserts messages in their order.
pub(super) async fn insert(connection: &mut SqliteConnection, messages: &[AgentMessage]) -> StoreResult<()> {
    const INSERT: &str = "INSERT INTO agent_messages \
        (id, task_id, correlation_id, type, source, target, payload, timestamp) VALUES";
    bulk(connection, (INSERT, 8, ""), messages, |message, to| {
        let (kind, payload) = column(&message.content)?;
        to.add(message.id.0)?;
        to.add(message.task_id.0)?;
        to.add(message.correlation_id.0)?;
        to.add(kind)?;
        to.add(message.source.as_str())?;
        to.add(message.target.as_str())?;
        to.add(payload.to_string())?;
        to.add(nanos(message.timestamp))?;
        Ok(())
    })
    .await?;
    Ok(())
}

/// Records a `HEARTBEAT` message from each of these tasks to the tasks that wait for it; it replaces the
/// previous one.
pub(super) async fn give_signs(
    connection: &mut SqliteConnection,
    held: &[TaskId],
    now: DateTime<Utc>,
) -> StoreResult<()> {
    const WAITED_FOR: &str = "\
        SELECT DISTINCT child.id, child.agent, child.attempt, child.lease_until, waiting.id, waiting.agent
        FROM task_waits JOIN tasks AS child ON child.id = child_id JOIN tasks AS waiting ON waiting.id = task_waits.parent_id
        WHERE open = 1 AND child_id IN (VALUES";
    const DELETE: &str = "DELETE FROM agent_messages WHERE type = 'HEARTBEAT' AND correlation_id IN (VALUES";
    let rows = bulk(connection, (WAITED_FOR, 1, ")"), held, |id, to| Ok(to.add(id.0)?)).await?;
    let message = |row: &SqliteRow| -> StoreResult<AgentMessage> {
        let heartbeat = Heartbeat { attempt: row.try_get(2)?, lease_until: instant(row.try_get(3)?) };
        Ok(AgentMessage::new(
            (row.try_get(1)?, row.try_get(5)?),
            (TaskId(row.try_get(4)?), TaskId(row.try_get(0)?)),
            AgentMessageContent::Heartbeat(heartbeat),
            now,
        ))
    };
    let messages = rows.iter().map(message).collect::<StoreResult<Vec<_>>>()?;
    let of: Vec<TaskId> = messages.iter().map(|message| message.correlation_id).collect();
    bulk(connection, (DELETE, 1, ")"), &of, |id, to| Ok(to.add(id.0)?)).await?;
    insert(connection, &messages).await
}

/// Returns at most `limit` messages of a task, 1 to 100, after this number.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    id: TaskId,
    after: Option<u64>,
    limit: u32,
) -> StoreResult<AgentMessagePage> {
    const PAGE: &str = concat!(
        "SELECT number, id, task_id, correlation_id, type, source, target, payload, timestamp FROM agent_messages \
         WHERE number IN (",
        within_bytes!(
            "number",
            "number",
            "?4",
            "SELECT number, octet_length(payload) AS bytes FROM agent_messages \
             WHERE (task_id = ?1 OR correlation_id = ?1) AND number > ?2 ORDER BY number LIMIT ?3"
        ),
        ") ORDER BY number"
    );
    let limit = limit.clamp(1, 100);
    // One more row than requested shows whether there is a next page.
    let rows = sqlx::query(PAGE)
        .bind(id.0)
        .bind(after.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX)))
        .bind(limit + 1)
        .bind(MAX_PAGE_BYTES as i64)
        .fetch_all(connection)
        .await?;
    let read = |row: &SqliteRow| -> StoreResult<(u64, AgentMessage)> {
        let message = AgentMessage {
            id: AgentMessageId(row.try_get(1)?),
            task_id: TaskId(row.try_get(2)?),
            correlation_id: TaskId(row.try_get(3)?),
            content: content(row.try_get(4)?, serde_json::from_str(row.try_get(7)?)?)?,
            source: row.try_get(5)?,
            target: row.try_get(6)?,
            timestamp: instant(row.try_get(8)?),
        };
        Ok((row.try_get::<i64, _>(0)?.unsigned_abs(), message))
    };
    let sized = rows.iter().map(|row| {
        let bytes = row.try_get::<&[u8], _>("payload").map_or(0, <[u8]>::len);
        (bytes, move || read(row))
    });
    let (messages, more) = fill_page(sized, limit as usize)?;
    Ok(AgentMessagePage::ending(messages, more))
}
