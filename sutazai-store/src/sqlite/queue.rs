//! The writes of the queue: each takes a transaction, loads, changes by the rules, and flushes.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use sqlx::AssertSqlSafe;
use sutazai_core::domain::{
    Claim, ClaimKey, Finish, NewEvent, Outcome as Ended, Task, TaskError, TaskId, TaskStatus,
};
use sutazai_core::ports::{ClaimRequest, LeaseState};
use sutazai_core::{Error, ErrorKind};

use super::changes::Changes;
use super::fault::Outcome;
use super::record::{Record, columns};
use super::statement::{bulk, nanos};
use super::writer::Transaction;

/// Due tasks in the order in which they are claimed: `?1` now, `?2` agents as JSON, `?3` how many.
///
/// One search in the queue's index for each priority: tasks of a high priority that are due only later are
/// never walked over.
pub(super) static DUE: LazyLock<Arc<String>> = LazyLock::new(|| {
    let mut sql = String::from(concat!("SELECT ", columns!(), " FROM tasks WHERE id IN ("));
    for priority in (0..=9).rev() {
        let _ = write!(
            sql,
            "SELECT id FROM (SELECT id FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' \
             AND waiting_for = 0 AND priority = {priority} AND run_at <= ?1 \
             AND agent IN (SELECT value FROM json_each(?2)) ORDER BY run_at, id LIMIT ?3) {}",
            if priority == 0 { "LIMIT ?3)" } else { "UNION ALL " },
        );
    }
    Arc::new(sql)
});

/// Adds tasks, all or none; known idempotency keys give the earlier task.
pub(super) async fn enqueue(transaction: &mut Transaction, tasks: Vec<Task>) -> Outcome<Vec<Task>> {
    let mut changes = Changes::new(transaction);
    let mut given = Vec::with_capacity(tasks.len());
    let mut keys = HashMap::new();
    for task in tasks {
        let id = match &task.idempotency_key {
            None => None,
            Some(key) => match keys.get(&(task.owner, key.clone())) {
                Some(id) => Some(*id),
                None => changes.with_key(task.owner.map(|owner| owner.0), key).await?,
            },
        };
        if let Some(id) = id {
            changes.load([id]).await?;
            given.push(id);
            continue;
        }
        if let Some(key) = &task.idempotency_key {
            keys.insert((task.owner, key.clone()), task.id);
        }
        given.push(task.id);
        changes.add(task, 0);
    }
    let stored = given.iter().filter_map(|id| changes.task(*id).cloned()).collect();
    changes.flush().await?;
    Ok(stored)
}

/// Takes due tasks under a lease.
pub(super) async fn claim(transaction: &mut Transaction, request: ClaimRequest) -> Outcome<Vec<Claim>> {
    let rows = sqlx::query(AssertSqlSafe(Arc::clone(&DUE)))
        .bind(nanos(request.now))
        .bind(serde_json::to_string(&request.agents)?)
        .bind(request.limit)
        .fetch_all(&mut transaction.connection)
        .await?;
    let mut changes = Changes::new(transaction);
    let mut due = Vec::with_capacity(rows.len());
    for row in &rows {
        let record = Record::decode(row)?;
        due.push((std::cmp::Reverse(record.task.priority), record.task.run_at, record.task.id));
        changes.keep(record);
    }
    due.sort_unstable();
    let lease_until = request.now + request.lease;
    for (_, _, id) in &due {
        changes.change(*id, request.now, |task| {
            task.status = TaskStatus::Processing;
            task.attempt += 1;
            task.worker = Some(request.worker);
            task.lease_until = Some(lease_until);
            task.started_at = Some(request.now);
        });
        changes.status_event(*id, request.now, None);
    }
    let tasks: Vec<Task> = due.iter().filter_map(|(_, _, id)| changes.task(*id).cloned()).collect();
    let mut children = children(changes.transaction(), &tasks).await?;
    changes.flush().await?;
    let claims = tasks.into_iter().map(|task| Claim { children: children.remove(&task.id).unwrap_or_default(), task });
    Ok(claims.collect())
}

/// The children of those tasks that had asked for some, in order.
async fn children(transaction: &mut Transaction, tasks: &[Task]) -> Outcome<HashMap<TaskId, Vec<Task>>> {
    const CHILDREN: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE parent_id IN (VALUES");
    let parents: Vec<TaskId> = tasks.iter().filter(|task| task.state.is_some()).map(|task| task.id).collect();
    let rows = bulk(&mut transaction.connection, (CHILDREN, 1, ") ORDER BY child_index"), &parents, |id, to| {
        Ok(sqlx::Arguments::add(to, id.0)?)
    })
    .await?;
    let mut children: HashMap<TaskId, Vec<Task>> = HashMap::new();
    for row in &rows {
        let child = Record::decode(row)?.task;
        if let Some(parent) = child.parent {
            children.entry(parent).or_default().push(child);
        }
    }
    Ok(children)
}

/// Prolongs leases.
pub(super) async fn renew(
    transaction: &mut Transaction,
    claims: Vec<ClaimKey>,
    lease_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Outcome<Vec<LeaseState>> {
    let mut changes = Changes::new(transaction);
    changes.load(claims.iter().map(|claim| claim.task)).await?;
    let mut states = Vec::with_capacity(claims.len());
    for claim in &claims {
        if !changes.holds(claim) {
            states.push(LeaseState::Lost);
            continue;
        }
        changes.change(claim.task, now, |task| task.lease_until = Some(lease_until));
        let asked = changes.task(claim.task).is_some_and(|task| task.cancel_requested);
        states.push(if asked { LeaseState::CancelRequested } else { LeaseState::Held });
    }
    changes.flush().await?;
    Ok(states)
}

/// Records outcomes; one answer for each.
pub(super) async fn finish(
    transaction: &mut Transaction,
    finished: Vec<Finish>,
    now: DateTime<Utc>,
) -> Outcome<Vec<Result<(), Error>>> {
    let mut changes = Changes::new(transaction);
    changes.load(finished.iter().map(|finish| finish.claim.task)).await?;
    let mut answers = Vec::with_capacity(finished.len());
    for Finish { claim, outcome } in finished {
        let fence = changes.fence(&claim);
        if fence.is_ok() {
            record(&mut changes, claim.task, outcome, now).await?;
        }
        answers.push(fence);
    }
    changes.flush().await?;
    Ok(answers)
}

/// Records one outcome of a task that is held.
async fn record(changes: &mut Changes<'_>, id: TaskId, outcome: Ended, now: DateTime<Utc>) -> Outcome<()> {
    match outcome {
        Ended::Completed(result) => changes.end(id, now, TaskStatus::Completed, Some(result), None).await,
        Ended::Failed(error) => {
            changes.change(id, now, |task| task.failures += 1);
            changes.end(id, now, TaskStatus::Failed, None, Some(error)).await
        }
        Ended::Cancelled => changes.end(id, now, TaskStatus::Cancelled, None, None).await,
        Ended::Retry { at, error } => {
            changes.change(id, now, |task| task.failures += 1);
            changes.requeue(id, now, at, Some(error));
            Ok(())
        }
        Ended::HandBack => {
            changes.requeue(id, now, now, None);
            Ok(())
        }
        Ended::Wait { children, state } => {
            let first = changes.next_child_index(id).await?;
            let count = u32::try_from(children.len()).unwrap_or(u32::MAX);
            changes.change(id, now, |task| {
                task.state = Some(state);
                task.waiting_for = count;
            });
            changes.requeue(id, now, now, None);
            for (index, mut child) in (first..).zip(children) {
                child.parent = Some(id);
                changes.add(child, index);
            }
            Ok(())
        }
    }
}

/// Takes back what dead workers held.
pub(super) async fn expire(transaction: &mut Transaction, now: DateTime<Utc>) -> Outcome<u64> {
    const EXPIRED: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM tasks INDEXED BY tasks_leases WHERE status = 'processing' AND lease_until <= ?"
    );
    let rows = sqlx::query(EXPIRED).bind(nanos(now)).fetch_all(&mut transaction.connection).await?;
    let mut changes = Changes::new(transaction);
    for row in &rows {
        let record = Record::decode(row)?;
        let (id, cancelled) = (record.task.id, record.task.cancel_requested);
        let spent = record.task.failures + 1 >= record.task.max_attempts;
        changes.keep(record);
        let error = TaskError {
            kind: ErrorKind::Timeout,
            message: "the worker that held the task was lost: its lease ran out".into(),
        };
        changes.change(id, now, |task| task.failures += 1);
        if cancelled {
            changes.end(id, now, TaskStatus::Cancelled, None, None).await?;
        } else if spent {
            changes.end(id, now, TaskStatus::Failed, None, Some(error)).await?;
        } else {
            changes.requeue(id, now, now, Some(error));
        }
    }
    changes.flush().await?;
    Ok(rows.len() as u64)
}

/// Ends a pending task, asks a running one to stop.
pub(super) async fn cancel(transaction: &mut Transaction, id: TaskId, now: DateTime<Utc>) -> Outcome<Task> {
    let mut changes = Changes::new(transaction);
    match changes.existing(id).await?.status {
        TaskStatus::Pending => changes.end(id, now, TaskStatus::Cancelled, None, None).await?,
        TaskStatus::Processing => changes.change(id, now, |task| task.cancel_requested = true),
        ended => Err(Error::conflict(format!("task {id} is {ended} and cannot be cancelled")))?,
    }
    let task = changes.existing(id).await?;
    changes.flush().await?;
    Ok(task)
}

/// Puts a failed task back into the queue.
pub(super) async fn retry(transaction: &mut Transaction, id: TaskId, now: DateTime<Utc>) -> Outcome<Task> {
    let mut changes = Changes::new(transaction);
    let task = changes.existing(id).await?;
    if task.status != TaskStatus::Failed {
        Err(Error::conflict(format!("task {id} is {}; only a failed one can be retried", task.status)))?;
    }
    changes.change(id, now, |task| {
        task.failures = 0;
        task.finished_at = None;
    });
    changes.requeue(id, now, now, None);
    if let Some(parent) = task.parent {
        // A parent that still waits, waits for this one again.
        changes.load([parent]).await?;
        if changes.task(parent).is_some_and(|parent| parent.waiting_for > 0) {
            changes.change(parent, now, |parent| parent.waiting_for += 1);
        }
    }
    let task = changes.existing(id).await?;
    changes.flush().await?;
    Ok(task)
}

/// Removes an ended task; its events go with it.
pub(super) async fn delete(transaction: &mut Transaction, id: TaskId) -> Outcome<()> {
    let task = Changes::new(transaction).existing(id).await?;
    if !task.status.has_ended() {
        Err(Error::conflict(format!("task {id} is {}; only an ended one can be deleted", task.status)))?;
    }
    sqlx::query("DELETE FROM tasks WHERE id = ?").bind(id.0).execute(&mut transaction.connection).await?;
    Ok(())
}

/// Appends events under a claim.
pub(super) async fn append(
    transaction: &mut Transaction,
    claim: ClaimKey,
    events: Vec<NewEvent>,
) -> Outcome<()> {
    let mut changes = Changes::new(transaction);
    changes.load([claim.task]).await?;
    changes.fence(&claim)?;
    for event in events {
        changes.event(claim.task, event.at, event.kind);
    }
    changes.flush().await
}

/// When the next task of these agents is due or the next lease runs out: `?1` agents as JSON.
pub(super) static NEXT_DUE: LazyLock<Arc<String>> = LazyLock::new(|| {
    let mut sql = String::from("SELECT min(due) FROM (");
    for priority in 0..=9 {
        let _ = write!(
            sql,
            "SELECT * FROM (SELECT run_at AS due FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' \
             AND waiting_for = 0 AND priority = {priority} AND agent IN (SELECT value FROM json_each(?1)) \
             ORDER BY run_at LIMIT 1) UNION ALL "
        );
    }
    sql.push_str("SELECT min(lease_until) FROM tasks INDEXED BY tasks_leases WHERE status = 'processing')");
    Arc::new(sql)
});
