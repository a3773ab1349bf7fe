//! Retention: removes tasks that ended long ago, one page of ids at a time, with their events and messages.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{EventOffset, Pruned, RetentionBatch, TaskId, TaskStatus, UserId};

use super::error::StoreResult;
use super::events::position;
use super::keys::keys;
use super::transaction::Transaction;
use super::{agent_messages, outbox};

/// Tasks of an owner that one transaction removes at most.
pub(super) const DELETE_BATCH_SIZE: u64 = 200;

/// Removes the expired tasks of one page. Does nothing while another process prunes.
pub(super) async fn prune(transaction: &mut Transaction<'_>, look: &RetentionBatch) -> StoreResult<Pruned> {
    // Arbitrary key that other programs are unlikely to use: "sutaprun" in ASCII.
    const LOCK: &str = "SELECT pg_try_advisory_xact_lock(x'737574617072756e'::bigint)";
    const PAGE: &str =
        "SELECT id, status::text, finished_at FROM tasks WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3";
    // Children of a task that has not ended are still needed for its next claim. A locked task is being
    // retried or waited for.
    const OLD: &str = "\
        SELECT id FROM tasks WHERE id = ANY($1) AND status IN ('completed', 'failed', 'cancelled')
            AND NOT EXISTS (
                SELECT 1 FROM task_waits JOIN tasks AS parents ON parents.id = task_waits.parent_id
                WHERE child_id = tasks.id AND parents.status IN ('pending', 'processing'))
        ORDER BY id FOR UPDATE OF tasks SKIP LOCKED";
    const DELETE_EVENTS: &str = "DELETE FROM task_events WHERE task_id = ANY($1)";
    const DELETE: &str = "\
        WITH gone AS (DELETE FROM tasks WHERE id = ANY($1) RETURNING ended_in)
        SELECT ended_in::text FROM gone WHERE ended_in IS NOT NULL ORDER BY gone.ended_in DESC LIMIT 1";
    let connection = &mut *transaction.connection;
    if !sqlx::query(LOCK).fetch_one(&mut *connection).await?.try_get::<bool, _>(0)? {
        return Ok(Pruned::default());
    }
    let page = sqlx::query(PAGE).bind(look.after.0).bind(look.before.0).bind(i64::from(look.limit));
    let page = page.fetch_all(&mut *connection).await?;
    let read = |row: &PgRow| -> StoreResult<(TaskId, bool)> {
        let status: TaskStatus = row.try_get::<&str, _>("status")?.parse()?;
        Ok((TaskId(row.try_get("id")?), look.takes(status, row.try_get("finished_at")?)))
    };
    let seen = page.iter().map(read).collect::<StoreResult<Vec<_>>>()?;
    let next = seen.last().map(|(id, _)| *id).filter(|_| seen.len() == look.limit as usize);
    let old: Vec<TaskId> = seen.into_iter().filter(|(_, old)| *old).map(|(id, _)| id).collect();
    let old = sqlx::query(OLD).bind(keys(&old)).fetch_all(&mut *connection).await?;
    let old = old.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<StoreResult<Vec<_>>>()?;
    if old.is_empty() {
        return Ok(Pruned { removed: 0, next });
    }
    outbox::leave(connection, &old).await?;
    agent_messages::forget(connection, &old).await?;
    sqlx::query(DELETE_EVENTS).bind(keys(&old)).execute(&mut *connection).await?;
    if let Some(row) = sqlx::query(DELETE).bind(keys(&old)).fetch_optional(&mut *connection).await? {
        begin_after(connection, row.try_get(0)?).await?;
    }
    sqlx::query(DELETE_FEED).bind(i64::from(look.limit)).execute(connection).await?;
    Ok(Pruned { removed: old.len() as u64, next })
}

/// Removes at most 200 tasks of an owner, whatever their status, with their events and messages; returns how
/// many.
pub(super) async fn delete_some(connection: &mut PgConnection, owner: UserId) -> StoreResult<u64> {
    const SOME: &str = "SELECT id FROM tasks WHERE owner = $1 ORDER BY id LIMIT $2 FOR UPDATE";
    const FROM_QUEUE: &str = "DELETE FROM queue WHERE owner = $1 AND task = ANY($2)";
    const FROM_FEED: &str = "DELETE FROM event_log WHERE owner = $1";
    let rows = sqlx::query(SOME).bind(owner.0).bind(DELETE_BATCH_SIZE as i64);
    let rows = rows.fetch_all(&mut *connection).await?;
    let ids = rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<StoreResult<Vec<_>>>()?;
    outbox::leave(connection, &ids).await?;
    agent_messages::forget(connection, &ids).await?;
    sqlx::query(FROM_QUEUE).bind(owner.0).bind(keys(&ids)).execute(&mut *connection).await?;
    for sql in ["DELETE FROM task_events WHERE task_id = ANY($1)", "DELETE FROM tasks WHERE id = ANY($1)"] {
        sqlx::query(sql).bind(keys(&ids)).execute(&mut *connection).await?;
    }
    if (ids.len() as u64) < DELETE_BATCH_SIZE {
        sqlx::query(FROM_FEED).bind(owner.0).execute(connection).await?;
    }
    Ok(ids.len() as u64)
}

/// Removes rows before the beginning of the event log, unless a relay exists that has not published them: at
/// most `$1` rows.
const DELETE_FEED: &str = "\
    DELETE FROM event_log WHERE ctid = ANY(ARRAY(
        SELECT event_log.ctid FROM event_log, event_log_begin
        WHERE event_log.transaction < event_log_begin.transaction AND event_log.transaction < coalesce(
            (SELECT trunc(position::numeric / 18446744073709551616)::text::xid8 FROM relay), event_log_begin.transaction)
        ORDER BY event_log.transaction, event_log.number LIMIT $1))";

/// Moves the beginning of the event log behind the events of this transaction, unless it is later already.
async fn begin_after(connection: &mut PgConnection, transaction: &str) -> StoreResult<()> {
    const LAST: &str = "\
        SELECT number, cardinality(tasks)::bigint AS place FROM event_log WHERE transaction = $1::text::xid8
        ORDER BY event_log.transaction DESC, number DESC LIMIT 1";
    const RAISE: &str = "\
        UPDATE event_log_begin SET transaction = $1::text::xid8, number = $2, place = $3
        WHERE (transaction, number, place) < ($1::text::xid8, $2, $3)";
    const INSERT: &str = "\
        INSERT INTO event_log_begin (transaction, number, place)
        SELECT $1::text::xid8, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM event_log_begin)";
    let row = sqlx::query(LAST).bind(transaction).fetch_optional(&mut *connection).await?;
    let (number, place) = match row {
        Some(row) => (row.try_get::<i64, _>("number")?, row.try_get::<i64, _>("place")?),
        None => (0, 0),
    };
    for sql in [RAISE, INSERT] {
        let query = sqlx::query(sql).bind(transaction).bind(number).bind(place);
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Returns the position after which the event log is complete.
pub(super) async fn event_log_begin(connection: &mut PgConnection) -> StoreResult<EventOffset> {
    // The table has one row, so it is read without an index.
    const BEGIN: &str = "SELECT transaction::text, number, place FROM event_log_begin";
    let row = sqlx::query(BEGIN).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(EventOffset::default()) };
    Ok(position(row.try_get("transaction")?, row.try_get("number")?, row.try_get("place")?))
}
