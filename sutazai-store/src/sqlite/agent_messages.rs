//! Messages between agents as rows.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Row, SqliteConnection};
use sutazai_core::domain::{AgentMessage, AgentMessageContent, Heartbeat, Page, PageRequest, TaskId};

use super::columns::{bind, insert_many};
use super::error::StoreResult;
use super::keyset::{Keyset, Order};
use super::statement::{bulk, instant};
use crate::columns::{Entity, agent_message_columns, decode};

/// Inserts messages in their order.
pub(super) async fn insert(connection: &mut SqliteConnection, messages: &[AgentMessage]) -> StoreResult<()> {
    static INSERT: LazyLock<String> = LazyLock::new(|| insert_many::<AgentMessage>("agent_messages"));
    let insert = (INSERT.as_str(), AgentMessage::COLUMNS.len(), "");
    bulk(connection, insert, messages, |message, to| bind(to, AgentMessage::COLUMNS, message)).await?;
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
        SELECT DISTINCT child.id AS child, child.agent AS source, child.attempt AS attempt,
            child.lease_until AS lease_until, waiting.id AS parent, waiting.agent AS target
        FROM task_waits JOIN tasks AS child ON child.id = child_id JOIN tasks AS waiting ON waiting.id = task_waits.parent_id
        WHERE open = 1 AND child_id IN (VALUES";
    const DELETE: &str = "DELETE FROM agent_messages WHERE type = 'HEARTBEAT' AND correlation_id IN (VALUES";
    let rows = bulk(connection, (WAITED_FOR, 1, ")"), held, |id, to| Ok(to.add(id.0)?)).await?;
    let message = |row: &SqliteRow| -> StoreResult<AgentMessage> {
        let lease_until = instant(row.try_get("lease_until")?);
        let heartbeat = Heartbeat { attempt: row.try_get("attempt")?, lease_until };
        Ok(AgentMessage::new(
            (row.try_get("source")?, row.try_get("target")?),
            (TaskId(row.try_get("parent")?), TaskId(row.try_get("child")?)),
            AgentMessageContent::Heartbeat(heartbeat),
            now,
        ))
    };
    let messages = rows.iter().map(message).collect::<StoreResult<Vec<_>>>()?;
    let of: Vec<TaskId> = messages.iter().map(|message| message.correlation_id).collect();
    bulk(connection, (DELETE, 1, ")"), &of, |id, to| Ok(to.add(id.0)?)).await?;
    insert(connection, &messages).await
}

/// Returns one page of the messages of a task.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    id: TaskId,
    page: PageRequest<u64>,
) -> StoreResult<Page<AgentMessage, u64>> {
    const LIST: Keyset = Keyset {
        table: "agent_messages",
        columns: concat!(agent_message_columns!(), ", number"),
        key: "number",
        order: Order::Ascending,
        content: &["payload"],
        has_large_rows: true,
    };
    let mut sql = LIST.select();
    sql.push(" AND (task_id = ").push_bind(id.0).push(" OR correlation_id = ").push_bind(id.0).push(")");
    let read = |row: &SqliteRow| -> StoreResult<(u64, AgentMessage)> {
        Ok((row.try_get::<i64, _>("number")?.unsigned_abs(), decode(row)?))
    };
    let after = page.cursor.map(|after| i64::try_from(after).unwrap_or(i64::MAX));
    let asked = (after, page.limit.get());
    let found = LIST.page(connection, sql, asked, read, |(number, _)| Some(*number)).await?;
    Ok(found.map(|(_, message)| message))
}
