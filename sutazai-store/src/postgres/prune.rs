//! Removing what ended long ago: a page of keys, those of it that are to go, their events, the tasks.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{EventPosition, Prune, Pruned, TaskId, TaskStatus};

use super::fault::Outcome;
use super::record::position;
use super::rows::keys;
use super::transaction::Transaction;

/// Removes some of what ended long ago, unless another process is at it.
pub(super) async fn prune(transaction: &mut Transaction<'_>, look: &Prune) -> Outcome<Pruned> {
    // The number is any that other programs are not likely to take: "sutaprun" in ASCII.
    const LOCK: &str = "SELECT pg_try_advisory_xact_lock(x'737574617072756e'::bigint)";
    const PAGE: &str =
        "SELECT id, status::text, finished_at FROM tasks WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
    // Those that a task which has not ended asked for are needed. Who is locked is being retried, or asked for.
    const OLD: &str = "\
        SELECT id FROM tasks WHERE id = ANY($1) AND status IN ('completed', 'failed', 'cancelled')
            AND NOT EXISTS (
                SELECT 1 FROM task_waits JOIN tasks AS parents ON parents.id = task_waits.parent_id
                WHERE child_id = tasks.id AND parents.status IN ('pending', 'processing'))
        ORDER BY id FOR UPDATE OF tasks SKIP LOCKED";
    const DELETE_EVENTS: &str = "\
        WITH gone AS (DELETE FROM task_events WHERE task_id = ANY($1) RETURNING transaction, number)
        SELECT transaction::text, number FROM gone ORDER BY gone.transaction DESC, number DESC LIMIT 1";
    const DELETE: &str = "DELETE FROM tasks WHERE id = ANY($1)";
    let connection = &mut *transaction.connection;
    if !sqlx::query(LOCK).fetch_one(&mut *connection).await?.try_get::<bool, _>(0)? {
        return Ok(Pruned::default());
    }
    let page = sqlx::query(PAGE).bind(look.after.0).bind(look.before.0).bind(i64::from(look.limit));
    let page = page.fetch_all(&mut *connection).await?;
    let read = |row: &PgRow| -> Outcome<(TaskId, bool)> {
        let status: TaskStatus = row.try_get::<&str, _>(1)?.parse()?;
        Ok((TaskId(row.try_get(0)?), look.takes(status, row.try_get(2)?)))
    };
    let seen = page.iter().map(read).collect::<Outcome<Vec<_>>>()?;
    let next = seen.last().map(|(id, _)| *id).filter(|_| seen.len() == look.limit as usize);
    let old: Vec<TaskId> = seen.into_iter().filter(|(_, old)| *old).map(|(id, _)| id).collect();
    let old = sqlx::query(OLD).bind(keys(&old)).fetch_all(&mut *connection).await?;
    let old = old.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<Outcome<Vec<_>>>()?;
    if old.is_empty() {
        return Ok(Pruned { removed: 0, next });
    }
    let last = sqlx::query(DELETE_EVENTS).bind(keys(&old)).fetch_optional(&mut *connection).await?;
    if let Some(row) = last {
        begin_after(connection, row.try_get(0)?, row.try_get(1)?).await?;
    }
    sqlx::query(DELETE).bind(keys(&old)).execute(&mut *connection).await?;
    Ok(Pruned { removed: old.len() as u64, next })
}

/// The feed begins no earlier than after this event.
async fn begin_after(connection: &mut PgConnection, transaction: &str, number: i64) -> Outcome<()> {
    const RAISE: &str = "\
        UPDATE feed_begin SET transaction = $1::text::xid8, number = $2
        WHERE (transaction, number) < ($1::text::xid8, $2)";
    const INSERT: &str = "\
        INSERT INTO feed_begin (transaction, number)
        SELECT $1::text::xid8, $2 WHERE NOT EXISTS (SELECT 1 FROM feed_begin)";
    for sql in [RAISE, INSERT] {
        sqlx::query(sql).bind(transaction).bind(number + 1).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Where the feed begins to be whole.
pub(super) async fn feed_begin(connection: &mut PgConnection) -> Outcome<EventPosition> {
    // The table has one row, which is read whole.
    const BEGIN: &str = "SELECT transaction::text, number FROM feed_begin";
    let row = sqlx::query(BEGIN).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(EventPosition::default()) };
    Ok(position(row.try_get(0)?, row.try_get::<i64, _>(1)?.unsigned_abs()))
}
