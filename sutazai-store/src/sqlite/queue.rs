//! Writes of the queue: each loads tasks in the writer's transaction, changes them in a unit of work, and
//! flushes it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{Arguments, Row};
use sutazai_core::Error;
use sutazai_core::domain::task::lifecycle::Command;
use sutazai_core::domain::{Claim, ClaimKey, NewEvent, OutcomeRecord, Task, TaskId, UserId, quota};
use sutazai_core::ports::{ClaimRequest, LeaseState};
use sutazai_core::task_store::UnitOfWork;

use super::error::StoreResult;
use super::statement::{bulk, nanos};
use super::writer::Transaction;
use super::{agent_messages, outbox};
use crate::columns::{decode_task, task_columns};
use crate::fair_claiming::pick;

/// Tasks of an owner that one transaction removes at most, so that other writes run in between.
pub(super) const DELETE_BATCH_SIZE: u64 = 128;

/// Adds tasks, all or none; an existing idempotency or deduplication key returns the earlier task.
pub(super) async fn enqueue(
    transaction: &mut Transaction,
    tasks: Vec<Task>,
    max_pending: Option<u32>,
) -> StoreResult<Vec<Task>> {
    let owners: BTreeSet<UserId> = tasks.iter().filter_map(|task| task.owner).collect();
    let mut changes = UnitOfWork::new(transaction);
    let mut ids = Vec::with_capacity(tasks.len());
    for task in tasks {
        ids.push(changes.add(task).await?);
    }
    let stored = ids.iter().filter_map(|id| changes.task(*id).cloned()).collect();
    let adds = changes.adds();
    changes.flush().await?;
    if let Some(max) = max_pending.filter(|_| adds) {
        for owner in owners {
            check_pending(transaction, owner, max).await?;
        }
    }
    Ok(stored)
}

/// Returns an error if more than `max` tasks of an owner are pending; the count stops there.
async fn check_pending(transaction: &mut Transaction, owner: UserId, max: u32) -> StoreResult<()> {
    const PENDING: &str = "SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY tasks_queue \
        WHERE ifnull(owner, zeroblob(16)) = ? AND status = 'pending' AND waiting_for = 0 LIMIT ? + 0)";
    let pending = sqlx::query(PENDING).bind(owner.0).bind(i64::from(max) + 1);
    if pending.fetch_one(&mut transaction.connection).await?.try_get::<i64, _>(0)? > i64::from(max) {
        Err(quota::queue_full(max))?;
    }
    Ok(())
}

/// Claims up to `request.limit` due tasks, fairly across owners.
pub(super) async fn claim(transaction: &mut Transaction, request: ClaimRequest) -> StoreResult<Vec<Claim>> {
    let due = pick(transaction, &request).await?;
    take(transaction, &request, due).await
}

/// Claims these due tasks. Those that cannot be read end as failed.
pub(super) async fn take(
    transaction: &mut Transaction,
    request: &ClaimRequest,
    due: Vec<TaskId>,
) -> StoreResult<Vec<Claim>> {
    let mut changes = UnitOfWork::new(transaction);
    let claims = changes.claim(request, due).await?;
    changes.flush().await?;
    Ok(claims)
}

/// Extends leases; returns one state per claim, in order.
pub(super) async fn renew(
    transaction: &mut Transaction,
    claims: Vec<ClaimKey>,
    lease_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> StoreResult<Vec<LeaseState>> {
    let mut changes = UnitOfWork::new(transaction);
    let (states, awaited) = changes.renew(&claims, lease_until, now).await?;
    changes.flush().await?;
    agent_messages::give_signs(&mut transaction.connection, &awaited, now).await?;
    Ok(states)
}

/// Records outcomes; returns one result per outcome, in order.
pub(super) async fn record_outcomes(
    transaction: &mut Transaction,
    finished: Vec<OutcomeRecord>,
    now: DateTime<Utc>,
) -> StoreResult<Vec<Result<(), Error>>> {
    let mut changes = UnitOfWork::new(transaction);
    let results = changes.record_outcomes(finished, now).await?;
    changes.flush().await?;
    Ok(results)
}

/// Reaps expired leases; returns how many tasks that were.
pub(super) async fn reap(transaction: &mut Transaction, now: DateTime<Utc>) -> StoreResult<u64> {
    const EXPIRED: &str = concat!(
        "SELECT ",
        task_columns!(),
        " FROM tasks INDEXED BY tasks_leases WHERE status = 'processing' AND lease_until <= ?"
    );
    let rows = sqlx::query(EXPIRED).bind(nanos(now)).fetch_all(&mut transaction.connection).await?;
    let mut changes = UnitOfWork::new(transaction);
    for row in &rows {
        let record = decode_task(row)?;
        let id = record.task.id;
        changes.keep(record);
        changes.apply(id, Command::Reap, now).await??;
    }
    changes.flush().await?;
    Ok(rows.len() as u64)
}

/// Cancels a pending task or requests the cancellation of a running one.
pub(super) async fn cancel(
    transaction: &mut Transaction,
    id: TaskId,
    now: DateTime<Utc>,
) -> StoreResult<Task> {
    let mut changes = UnitOfWork::new(transaction);
    let task = changes.cancel(id, now).await?;
    changes.flush().await?;
    Ok(task)
}

/// Puts a failed task back into the queue.
pub(super) async fn retry(
    transaction: &mut Transaction,
    id: TaskId,
    now: DateTime<Utc>,
) -> StoreResult<Task> {
    let mut changes = UnitOfWork::new(transaction);
    let task = changes.retry(id, now).await?;
    changes.flush().await?;
    Ok(task)
}

/// Removes an ended task; foreign keys delete its events and messages.
pub(super) async fn delete(transaction: &mut Transaction, id: TaskId) -> StoreResult<()> {
    UnitOfWork::new(transaction).check_deletion(id).await?;
    outbox::leave(transaction, &[id]).await?;
    sqlx::query("DELETE FROM tasks WHERE id = ?").bind(id.0).execute(&mut transaction.connection).await?;
    Ok(())
}

/// Removes at most 128 tasks of an owner, whatever their status; foreign keys delete their events and
/// messages.
pub(super) async fn delete_some(transaction: &mut Transaction, owner: UserId) -> StoreResult<u64> {
    const SOME: &str = "SELECT id FROM tasks WHERE owner = ? ORDER BY id LIMIT ? + 0";
    const DELETE: &str = "DELETE FROM tasks WHERE id IN (VALUES";
    let rows = sqlx::query(SOME).bind(owner.0).bind(DELETE_BATCH_SIZE as i64);
    let rows = rows.fetch_all(&mut transaction.connection).await?;
    let ids = rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<StoreResult<Vec<_>>>()?;
    outbox::leave(transaction, &ids).await?;
    bulk(&mut transaction.connection, (DELETE, 1, ")"), &ids, |id, to| Ok(to.add(id.0)?)).await?;
    Ok(ids.len() as u64)
}

/// Appends events that an agent reports under its claim.
///
/// # Errors
/// `Conflict` for a claim that no longer holds its task.
pub(super) async fn append(
    transaction: &mut Transaction,
    claim: ClaimKey,
    events: Vec<NewEvent>,
) -> StoreResult<()> {
    let mut changes = UnitOfWork::new(transaction);
    changes.append(&claim, events).await?;
    changes.flush().await
}
