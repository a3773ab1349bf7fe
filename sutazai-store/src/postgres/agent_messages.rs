//! Messages between agents as rows.

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{AgentMessage, AgentMessageContent, Heartbeat, Page, PageRequest, TaskId};

use super::columns::{bound_many, insert_many};
use super::error::StoreResult;
use super::keys::keys;
use super::keyset::collect;
use super::time::Times;
use crate::columns::{agent_message_columns, decode};

/// Inserts messages in their order.
pub(super) async fn insert(connection: &mut PgConnection, messages: &[AgentMessage]) -> StoreResult<()> {
    static INSERT: LazyLock<String> = LazyLock::new(|| insert_many::<AgentMessage>("agent_messages"));
    if !messages.is_empty() {
        let arguments = bound_many(&messages.iter().collect::<Vec<_>>())?;
        sqlx::query_with(INSERT.as_str(), arguments).execute(connection).await?;
    }
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
        SELECT DISTINCT child.id AS child, child.agent AS source, child.attempt, child.lease_until,
            waiting.id AS parent, waiting.agent AS target
        FROM task_waits JOIN tasks AS child ON child.id = child_id JOIN tasks AS waiting ON waiting.id = task_waits.parent_id
        WHERE open AND child_id = ANY($1) AND child.status = 'processing'";
    const DELETE: &str = "DELETE FROM agent_messages WHERE correlation_id = ANY($1) AND type = 'HEARTBEAT'";
    let rows = sqlx::query(WAITED_FOR).bind(keys(held)).fetch_all(&mut *connection).await?;
    let message = |row: &PgRow| -> StoreResult<AgentMessage> {
        let attempt = row.try_get::<i32, _>("attempt")?.cast_unsigned();
        Ok(AgentMessage::new(
            (row.try_get("source")?, row.try_get("target")?),
            (TaskId(row.try_get("parent")?), TaskId(row.try_get("child")?)),
            AgentMessageContent::Heartbeat(Heartbeat { attempt, lease_until: row.time("lease_until")? }),
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

/// Returns one page of the messages of a task.
pub(super) async fn read(
    connection: &mut PgConnection,
    (id, page): (TaskId, PageRequest<u64>),
) -> StoreResult<Page<AgentMessage, u64>> {
    const PAGE: &str = concat!(
        "(SELECT ",
        agent_message_columns!(),
        ", number FROM agent_messages WHERE task_id = $1 AND number > $2 ORDER BY number LIMIT $3)
        UNION ALL
        (SELECT ",
        agent_message_columns!(),
        ", number FROM agent_messages
            WHERE correlation_id = $1 AND task_id <> $1 AND number > $2 ORDER BY number LIMIT $3)
        ORDER BY number LIMIT $3"
    );
    let limit = page.limit.get();
    // One more row than requested shows whether there is a next page.
    let rows = sqlx::query(PAGE)
        .bind(id.0)
        .bind(page.cursor.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX)))
        .bind(i64::from(limit) + 1)
        .fetch(connection);
    let read = |row: &PgRow| -> StoreResult<(u64, AgentMessage)> {
        Ok((row.try_get::<i64, _>("number")?.unsigned_abs(), decode(row)?))
    };
    let found = collect(rows, limit, &["payload"], read, |(number, _)| Some(*number)).await?;
    Ok(found.map(|(_, message)| message))
}
