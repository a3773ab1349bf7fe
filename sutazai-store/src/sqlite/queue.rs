//! Writes of the queue: each loads tasks in the writer's transaction, changes them in a unit of work, and
//! flushes it.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{Arguments, Row};
use sutazai_core::Error;
use sutazai_core::domain::{Claim, ClaimKey, NewEvent, OutcomeRecord, Task, TaskId, UserId, later, quota};
use sutazai_core::ports::{ClaimRequest, LeaseState};

use super::error::StoreResult;
use super::record::columns;
use super::statement::{bulk, nanos};
use super::writer::Transaction;
use super::{agent_messages, outbox};
use crate::fair_claiming::pick;
use crate::task_repository::Record;
use crate::unit_of_work::UnitOfWork;

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
        WHERE ifnull(owner, zeroblob(16)) = ? AND status = 'pending' AND waiting_for = 0 LIMIT ?)";
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
    mut due: Vec<TaskId>,
) -> StoreResult<Vec<Claim>> {
    let mut changes = UnitOfWork::new(transaction);
    changes.load(due.iter().copied()).await?;
    let lease_until = later(request.now, request.lease);
    let damaged: Vec<_> = due.iter().filter_map(|id| Some((*id, changes.damage(*id)?))).collect();
    for (id, error) in damaged {
        tracing::error!(task = %id, "damaged task failed");
        changes.fail(id, request.now, error).await?;
        due.retain(|due| *due != id);
    }
    for id in &due {
        changes.change(*id, request.now, |task| task.claim(request.worker, lease_until, request.now));
        changes.status_event(*id, request.now, None);
    }
    let tasks: Vec<Task> = due.iter().filter_map(|id| changes.task(*id).cloned()).collect();
    // Only a task that has waited before has a state, so most claims read no children.
    let parents: Vec<TaskId> = tasks.iter().filter(|task| task.state.is_some()).map(|task| task.id).collect();
    let mut children: HashMap<TaskId, Vec<Task>> = HashMap::new();
    for (parent, child) in changes.children(&parents).await? {
        children.entry(parent).or_default().extend(changes.task(child).cloned());
    }
    changes.flush().await?;
    let claims =
        tasks.into_iter().map(|task| Claim { children: children.remove(&task.id).unwrap_or_default(), task });
    Ok(claims.collect())
}

/// Extends leases; returns one state per claim, in order.
pub(super) async fn renew(
    transaction: &mut Transaction,
    claims: Vec<ClaimKey>,
    lease_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> StoreResult<Vec<LeaseState>> {
    let mut changes = UnitOfWork::new(transaction);
    changes.load(claims.iter().map(|claim| claim.task)).await?;
    let mut states = Vec::with_capacity(claims.len());
    let mut awaited = Vec::new();
    for claim in &claims {
        let held = changes.task(claim.task).filter(|_| changes.holds(claim));
        let Some((cancel_requested, updated_at)) = held.map(|task| (task.cancel_requested, task.updated_at))
        else {
            states.push(LeaseState::Lost);
            continue;
        };
        changes.change(claim.task, updated_at, |task| task.lease_until = Some(lease_until));
        awaited.extend(Some(claim.task).filter(|task| changes.is_awaited(*task)));
        states.push(if cancel_requested { LeaseState::CancelRequested } else { LeaseState::Held });
    }
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
    changes.load(finished.iter().map(|record| record.claim.task)).await?;
    let mut answers = Vec::with_capacity(finished.len());
    for OutcomeRecord { claim, outcome } in finished {
        let fence = changes.fence(&claim);
        if fence.is_ok() {
            changes.record(claim.task, outcome, now).await?;
        }
        answers.push(fence);
    }
    changes.flush().await?;
    Ok(answers)
}

/// Reaps expired leases; returns how many tasks that were.
pub(super) async fn reap(transaction: &mut Transaction, now: DateTime<Utc>) -> StoreResult<u64> {
    const EXPIRED: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tasks INDEXED BY tasks_leases WHERE status = 'processing' AND lease_until <= ?"
    );
    let rows = sqlx::query(EXPIRED).bind(nanos(now)).fetch_all(&mut transaction.connection).await?;
    let mut changes = UnitOfWork::new(transaction);
    for row in &rows {
        let record = Record::decode(row);
        let id = record.task.id;
        changes.keep(record);
        changes.reap(id, now).await?;
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
    UnitOfWork::new(transaction).deletable(id).await?;
    outbox::leave(transaction, &[id]).await?;
    sqlx::query("DELETE FROM tasks WHERE id = ?").bind(id.0).execute(&mut transaction.connection).await?;
    Ok(())
}

/// Removes at most 128 tasks of an owner, whatever their status; foreign keys delete their events and
/// messages.
pub(super) async fn delete_some(transaction: &mut Transaction, owner: UserId) -> StoreResult<u64> {
    const SOME: &str = "SELECT id FROM tasks WHERE owner = ? ORDER BY id LIMIT ?";
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
    changes.load([claim.task]).await?;
    changes.fence(&claim)?;
    for event in events {
        changes.event(claim.task, event.at, event.kind);
    }
    changes.flush().await
}
