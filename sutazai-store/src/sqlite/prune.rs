//! Retention: removes tasks that ended long ago, one page of ids at a time; foreign keys delete their events.

use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Row, SqliteConnection};
use sutazai_core::domain::{EventOffset, Pruned, RetentionBatch, TaskId, TaskStatus};

use super::error::StoreResult;
use super::outbox;
use super::statement::{bulk, instant};
use super::writer::Transaction;

/// Removes the expired tasks of one page.
pub(super) async fn prune(tx: &mut Transaction, look: RetentionBatch) -> StoreResult<Pruned> {
    const PAGE: &str =
        "SELECT id, status, finished_at FROM tasks WHERE id > ? AND id < ? ORDER BY id LIMIT ? + 0";
    // Children of a task that has not ended are still needed for its next claim.
    const NEEDED: &str = "SELECT child_id FROM task_waits JOIN tasks ON tasks.id = task_waits.parent_id \
                          WHERE status IN ('pending', 'processing') AND child_id IN (VALUES";
    const LAST: &str = "SELECT max(position) FROM task_events WHERE task_id IN (VALUES";
    const DELETE: &str = "DELETE FROM tasks WHERE id IN (VALUES";
    let connection = &mut tx.connection;
    let page = sqlx::query(PAGE).bind(look.after.0).bind(look.before.0).bind(look.limit);
    let page = page.fetch_all(&mut *connection).await?;
    let read = |row: &SqliteRow| -> StoreResult<(TaskId, bool)> {
        let status: TaskStatus = row.try_get::<&str, _>("status")?.parse()?;
        let finished_at = row.try_get::<Option<i64>, _>("finished_at")?.map(instant);
        Ok((TaskId(row.try_get("id")?), look.takes(status, finished_at)))
    };
    let seen = page.iter().map(read).collect::<StoreResult<Vec<_>>>()?;
    let next = seen.last().map(|(id, _)| *id).filter(|_| seen.len() == look.limit as usize);
    let mut old: Vec<TaskId> = seen.into_iter().filter(|(_, old)| *old).map(|(id, _)| id).collect();
    let needed = bulk(connection, (NEEDED, 1, ")"), &old, |id, to| Ok(to.add(id.0)?)).await?;
    let needed = needed.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<StoreResult<Vec<_>>>()?;
    old.retain(|id| !needed.contains(id));
    outbox::leave(tx, &old).await?;
    let last = bulk(&mut tx.connection, (LAST, 1, ")"), &old, |id, to| Ok(to.add(id.0)?)).await?;
    for row in &last {
        if let Some(last) = row.try_get::<Option<i64>, _>(0)? {
            begin_at(tx, last).await?;
        }
    }
    bulk(&mut tx.connection, (DELETE, 1, ")"), &old, |id, to| Ok(to.add(id.0)?)).await?;
    Ok(Pruned { removed: old.len() as u64, next })
}

/// Moves the beginning of the event log behind this position, unless it is later already.
async fn begin_at(tx: &mut Transaction, position: i64) -> StoreResult<()> {
    const RAISE: &str = "UPDATE event_log_begin SET position = max(position, ?)";
    const INSERT: &str = "INSERT INTO event_log_begin (position) VALUES (?)";
    let raised = sqlx::query(RAISE).bind(position).execute(&mut tx.connection).await?;
    if raised.rows_affected() == 0 {
        sqlx::query(INSERT).bind(position).execute(&mut tx.connection).await?;
    }
    Ok(())
}

/// Returns the position after which the event log is complete.
pub(super) async fn event_log_begin(connection: &mut SqliteConnection) -> StoreResult<EventOffset> {
    let row = sqlx::query("SELECT position FROM event_log_begin").fetch_optional(connection).await?;
    let position = row.map(|row| row.try_get::<i64, _>(0)).transpose()?;
    Ok(EventOffset(position.unwrap_or_default().unsigned_abs().into()))
}
