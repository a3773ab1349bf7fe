//! Writes of the queue, except claims. Frequent operations are one statement over many tasks; operations on
//! several related tasks load them, change them in a unit of work, and flush it.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::{PgConnection, Row};
use sutazai_core::domain::task::lifecycle::Command;
use sutazai_core::domain::{
    ClaimKey, Outcome as Ended, OutcomeRecord, Task, TaskError, TaskId, TaskStatus, UserId, quota,
};
use sutazai_core::ports::{LeaseState, WakeUp};
use sutazai_core::task_store::{DeduplicationKey, Record, UnitOfWork};
use sutazai_core::{Error, ErrorKind};
use uuid::Uuid;

use super::error::StoreResult;
use super::events::entry;
use super::leases::Leases;
use super::quota::{Counted, lock};
use super::record::{enter_queue, insert};
use super::text::{json, kept};
use super::transaction::Transaction;
use super::{agent_messages, outbox};
use crate::columns::{decode_task, task_columns};

/// Extends the leases of these claims (`$1` tasks, `$2` attempts, `$3` workers) to `$4`: the command `Renew`
/// of the life cycle. A row has a worker only while it is processing, so comparing the worker is enough to
/// check that the lease is held.
pub(super) const RENEW: &str = "\
    WITH renewed AS (
        UPDATE tasks SET lease_until = $4
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[]) AS held (id, attempt, worker)
        WHERE tasks.id = held.id AND tasks.attempt = held.attempt AND tasks.worker = held.worker
        RETURNING tasks.id, tasks.attempt, tasks.worker, tasks.cancel_requested, tasks.awaited
    ), leased AS (
        INSERT INTO leases (until, tasks) SELECT $4, array_agg(id) FROM renewed HAVING count(*) > 0
        RETURNING id
    )
    SELECT id, attempt, worker, cancel_requested, (SELECT leased.id FROM leased) AS lease, awaited FROM renewed";

/// Records the outcomes `$4` to `$8` of the claims `$1` to `$3` at `$9`, for tasks without parents or
/// children: the command `Record` of the life cycle with `Completed`, `Failed`, `Cancelled`, `Retry` and
/// `Released`. A retry or release of a task whose cancellation was requested is left to the unit of work.
pub(super) const FINISH: &str = concat!(
    "WITH ended AS (
        UPDATE tasks SET status = new.status::task_status, result = coalesce(new.result::jsonb, tasks.result),
            error = CASE WHEN new.status = 'completed' THEN NULL ELSE coalesce(new.error::jsonb, tasks.error) END,
            failures = tasks.failures + (new.error IS NOT NULL)::integer,
            run_at = coalesce(new.run_at, tasks.run_at), cancel_requested = false, worker = NULL,
            lease_until = NULL, updated_at = $9, last_sequence = tasks.last_sequence + 1,
            history = tasks.history || '[' || tasks.last_sequence + 1 || new.entry,
            active_key = CASE WHEN new.status = 'pending' THEN tasks.active_key END,
            finished_at = CASE WHEN new.status = 'pending' THEN NULL ELSE $9 END,
            ended_in = CASE WHEN new.status = 'pending' THEN NULL ELSE pg_current_xact_id() END
        FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                    $7::timestamptz[], $8::text[])
            AS new (id, attempt, worker, status, result, error, run_at, entry)
        WHERE tasks.id = new.id AND tasks.attempt = new.attempt AND tasks.worker = new.worker
            AND NOT tasks.awaited AND tasks.state IS NULL
            AND NOT (tasks.cancel_requested AND new.status = 'pending')
        RETURNING tasks.id, tasks.last_sequence, tasks.owner, tasks.agent, tasks.priority, tasks.run_at, tasks.status
    ), queued AS (",
    enter_queue!("ended WHERE status = 'pending'"),
    "), told AS (
        INSERT INTO event_log (owner, tasks, sequences)
        SELECT owner, array_agg(id), array_agg(last_sequence) FROM ended GROUP BY owner
    )
    SELECT id, agent FROM ended"
);

/// Truncates the times of a task to microseconds, the precision of PostgreSQL.
fn precise(task: &Task) -> Task {
    let truncated = |time: DateTime<Utc>| time.trunc_subsecs(6);
    Task {
        run_at: truncated(task.run_at),
        created_at: truncated(task.created_at),
        updated_at: truncated(task.updated_at),
        started_at: task.started_at.map(truncated),
        lease_until: task.lease_until.map(truncated),
        ..task.clone()
    }
}

/// Adds tasks of which some have deduplication keys, all or none; an existing key returns the earlier task.
///
/// If a key is taken between the lookup and the insert, the unique index rejects the insert, and the
/// transaction is retried. The alternative, a lock on every key, would cost all enqueues what only a
/// collision needs.
pub(super) async fn enqueue_unique(
    transaction: &mut Transaction<'_>,
    (tasks, leases): (&[Task], &Leases),
    max_pending: Option<u32>,
) -> StoreResult<Vec<(Task, bool)>> {
    let connection = &mut *transaction.connection;
    let active = active_with_keys(connection, tasks).await?;
    let mut named: HashMap<DeduplicationKey, TaskId> = HashMap::new();
    let mut new: Vec<Task> = Vec::with_capacity(tasks.len());
    for task in tasks {
        let first = DeduplicationKey::of(task)
            .is_none_or(|key| !active.contains_key(&key) && *named.entry(key).or_insert(task.id) == task.id);
        if first {
            new.push(task.clone());
        }
    }
    // Inserted in the order of the keys, so that transactions that wait for each other's keys cannot
    // deadlock.
    new.sort_by_cached_key(DeduplicationKey::of);
    let added = match max_pending {
        Some(max) => enqueue_counted(connection, (&new, leases), max).await?,
        None => enqueue(connection, (&new, leases)).await?,
    };
    let given: HashMap<TaskId, (Task, bool)> = new.iter().map(|task| task.id).zip(added).collect();
    let mut stored = Vec::with_capacity(tasks.len());
    for task in tasks {
        let found = given.get(&task.id).cloned().or_else(|| {
            let key = DeduplicationKey::of(task)?;
            let first = named.get(&key).and_then(|id| given.get(id)).map(|(task, _)| task.clone());
            active.get(&key).cloned().or(first).map(|known| (known, false))
        });
        stored.push(found.ok_or_else(|| Error::internal("the statement did not return an added task"))?);
    }
    Ok(stored)
}

/// Returns the pending or processing tasks with the deduplication keys of these. None is locked: a
/// transaction that holds one and waits for another would block those who record their outcomes.
async fn active_with_keys(
    connection: &mut PgConnection,
    tasks: &[Task],
) -> StoreResult<HashMap<DeduplicationKey, Task>> {
    const ACTIVE_WITH_KEYS: &str = concat!(
        "SELECT ",
        task_columns!(text),
        " FROM tasks WHERE id = ANY(ARRAY(
            SELECT known.id FROM unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (owner, agent, key)
            JOIN tasks AS known ON coalesce(known.owner, '00000000-0000-0000-0000-000000000000') = wanted.owner
            AND known.agent = wanted.agent AND known.active_key = wanted.key))"
    );
    let keys: Vec<DeduplicationKey> = tasks.iter().filter_map(DeduplicationKey::of).collect();
    let rows = sqlx::query(ACTIVE_WITH_KEYS)
        .bind(keys.iter().map(|key| key.owner.map_or(Uuid::nil(), |owner| owner.0)).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.agent.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| kept(&key.key)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let known =
        rows.iter().map(|row| decode_task(row).map(|record| record.task)).collect::<StoreResult<Vec<_>>>()?;
    Ok(known.into_iter().filter_map(|task| Some((DeduplicationKey::of(&task)?, task))).collect())
}

/// Adds tasks without deduplication keys, all or none; an existing idempotency key returns the earlier task.
pub(super) async fn enqueue(
    connection: &mut PgConnection,
    (tasks, leases): (&[Task], &Leases),
) -> StoreResult<Vec<(Task, bool)>> {
    let records: Vec<Record> = tasks.iter().map(|task| Record::new(precise(task))).collect();
    let added = insert(connection, &records.iter().collect::<Vec<_>>()).await?;
    for (task, row) in &added {
        row.iter().for_each(|row| leases.hold(*row, [(*task, 1)]));
    }
    let added: HashSet<TaskId> = added.into_iter().map(|(task, _)| task).collect();
    if added.len() == records.len() {
        return Ok(records.into_iter().map(|record| (record.task, true)).collect());
    }
    let known =
        with_keys(connection, records.iter().filter(|record| !added.contains(&record.task.id))).await?;
    let mut stored = Vec::with_capacity(records.len());
    for Record { task, .. } in records {
        if added.contains(&task.id) {
            stored.push((task, true));
            continue;
        }
        let earlier = known
            .iter()
            .find(|known| (known.owner, &known.idempotency_key) == (task.owner, &task.idempotency_key));
        let deleted = || Error::new(ErrorKind::Busy, "the earlier task was deleted concurrently");
        stored.push((earlier.cloned().ok_or_else(deleted)?, false));
    }
    Ok(stored)
}

/// Adds tasks like [`enqueue`], in a transaction, unless more than `max` tasks of an owner would then be
/// pending; the count stops there. Other transactions that count tasks of these owners wait until this one
/// ends.
pub(super) async fn enqueue_counted(
    connection: &mut PgConnection,
    input: (&[Task], &Leases),
    max: u32,
) -> StoreResult<Vec<(Task, bool)>> {
    const PENDING: &str = "\
        SELECT 1 FROM unnest($1::uuid[]) AS owners (owner) CROSS JOIN LATERAL (
            SELECT count(*) AS pending FROM (
                SELECT 1 FROM queue WHERE queue.owner = owners.owner LIMIT $2
            ) AS waiting
        ) AS counted WHERE pending > $3 LIMIT 1";
    let owners: BTreeSet<UserId> = input.0.iter().filter_map(|task| task.owner).collect();
    lock(connection, Counted::Tasks, &owners.iter().copied().collect::<Vec<_>>()).await?;
    let stored = enqueue(connection, input).await?;
    let added = stored.iter().filter(|(task, added)| *added && task.status == TaskStatus::Pending);
    let added: BTreeSet<Uuid> = added.filter_map(|(task, _)| Some(task.owner?.0)).collect();
    let over = sqlx::query(PENDING)
        .bind(added.into_iter().collect::<Vec<_>>())
        .bind(i64::from(max) + 1)
        .bind(i64::from(max));
    if over.fetch_optional(connection).await?.is_some() {
        Err(quota::queue_full(max))?;
    }
    Ok(stored)
}

/// Returns the existing tasks with the owners and idempotency keys of these.
async fn with_keys<'r>(
    connection: &mut PgConnection,
    records: impl Iterator<Item = &'r Record>,
) -> StoreResult<Vec<Task>> {
    const BY_KEYS: &str = concat!(
        "SELECT ",
        task_columns!(text),
        " FROM tasks WHERE id = ANY(ARRAY(
            SELECT known.id FROM unnest($1::uuid[], $2::text[]) AS wanted (owner, key) JOIN tasks AS known
            ON coalesce(known.owner, '00000000-0000-0000-0000-000000000000') = wanted.owner
            AND known.idempotency_key = wanted.key))"
    );
    let (owners, keys): (Vec<Uuid>, Vec<String>) = records
        .filter_map(|Record { task, .. }| {
            Some((
                task.owner.map_or(Uuid::nil(), |owner| owner.0),
                kept(task.idempotency_key.as_deref()?).into_owned(),
            ))
        })
        .unzip();
    let rows = sqlx::query(BY_KEYS).bind(owners).bind(keys).fetch_all(connection).await?;
    rows.iter().map(|row| decode_task(row).map(|record| record.task)).collect()
}

/// Returns the current state of those of these tasks that exist.
pub(super) async fn with_ids(connection: &mut PgConnection, tasks: &[Task]) -> StoreResult<Vec<Task>> {
    const BY_IDS: &str = concat!(
        "SELECT ",
        task_columns!(text),
        " FROM tasks JOIN unnest($1::uuid[], $2::timestamptz[])
            AS asked (id, created_at) USING (id, created_at)"
    );
    let rows = sqlx::query(BY_IDS)
        .bind(tasks.iter().map(|task| task.id.0).collect::<Vec<_>>())
        .bind(tasks.iter().map(|task| task.created_at).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| decode_task(row).map(|record| record.task)).collect()
}

/// Extends leases; returns one state per claim, in order.
pub(super) async fn renew(
    connection: &mut PgConnection,
    (claims, leases): (&[ClaimKey], &Leases),
    (lease_until, now): (DateTime<Utc>, DateTime<Utc>),
) -> StoreResult<Vec<LeaseState>> {
    // Sorted by task id, as outcomes are: transactions that lock rows in one order cannot deadlock.
    let mut ordered: Vec<&ClaimKey> = claims.iter().collect();
    ordered.sort_unstable_by_key(|claim| claim.task);
    let rows = sqlx::query(RENEW)
        .bind(ordered.iter().map(|claim| claim.task.0).collect::<Vec<_>>())
        .bind(ordered.iter().map(|claim| claim.attempt.cast_signed()).collect::<Vec<_>>())
        .bind(ordered.iter().map(|claim| claim.worker.0).collect::<Vec<_>>())
        .bind(lease_until)
        .fetch_all(&mut *connection)
        .await?;
    let mut held = HashMap::with_capacity(rows.len());
    let mut awaited = Vec::new();
    for row in &rows {
        let key: (Uuid, i32, Uuid) = (row.try_get("id")?, row.try_get("attempt")?, row.try_get("worker")?);
        held.insert(key, row.try_get::<bool, _>("cancel_requested")?);
        leases.hold(row.try_get("lease")?, [(TaskId(key.0), key.1.cast_unsigned())]);
        if row.try_get("awaited")? {
            awaited.push(TaskId(key.0));
        }
    }
    let state =
        |claim: &ClaimKey| match held.get(&(claim.task.0, claim.attempt.cast_signed(), claim.worker.0)) {
            Some(true) => LeaseState::CancelRequested,
            Some(false) => LeaseState::Held,
            None => LeaseState::Lost,
        };
    let states: Vec<LeaseState> = claims.iter().map(state).collect();
    let lost = claims.iter().zip(&states).filter(|(_, state)| **state == LeaseState::Lost);
    leases.release(lost.map(|(claim, _)| (claim.task, claim.attempt)));
    if !awaited.is_empty() {
        agent_messages::give_signs(connection, &awaited, now).await?;
    }
    Ok(states)
}

/// Records outcomes; returns one result per outcome, in order. One statement covers the tasks without parents
/// or children; what it leaves over has relatives or a claim that no longer holds.
pub(super) async fn record_outcomes(
    transaction: &mut Transaction<'_>,
    finished: &[OutcomeRecord],
    now: DateTime<Utc>,
) -> StoreResult<Vec<Result<(), Error>>> {
    // Which task a deduplication key names depends on which tasks have ended by then, so these outcomes are
    // recorded in order.
    let ordered = finished.iter().any(|record| match &record.outcome {
        Ended::Wait(wait) => wait.children.iter().any(|child| child.unique_key.is_some()),
        _ => false,
    });
    let alone = if ordered { HashSet::new() } else { finish_alone(transaction, finished, now).await? };
    let mut answers = Vec::with_capacity(finished.len());
    let mut changes = UnitOfWork::new(transaction);
    let rest = |index: &usize| !alone.contains(index);
    changes.load((0..finished.len()).filter(rest).map(|index| finished[index].claim.task)).await?;
    for (index, record) in finished.iter().enumerate() {
        if alone.contains(&index) {
            answers.push(Ok(()));
            continue;
        }
        answers.push(match changes.fence(&record.claim) {
            Ok(()) => changes.apply(record.claim.task, Command::Record(record.clone()), now).await?,
            spent => spent,
        });
    }
    changes.flush().await?;
    Ok(answers)
}

/// Change of the row of a task without parents or children.
struct Change {
    index: usize,
    claim: ClaimKey,
    status: TaskStatus,
    result: Option<String>,
    error: Option<String>,
    run_at: Option<DateTime<Utc>>,
    /// The part of the history entry after its sequence.
    entry: String,
}

impl Change {
    /// Returns `None` for an outcome that always touches other tasks.
    fn new(
        index: usize,
        OutcomeRecord { claim, outcome }: &OutcomeRecord,
        now: DateTime<Utc>,
    ) -> StoreResult<Option<Self>> {
        let (status, result, error, run_at): (_, _, Option<&TaskError>, _) = match outcome {
            Ended::Completed(result) => (TaskStatus::Completed, Some(result), None, None),
            Ended::Failed(error) => (TaskStatus::Failed, None, Some(error), None),
            Ended::Cancelled => (TaskStatus::Cancelled, None, None, None),
            Ended::Retry { at, error } => (TaskStatus::Pending, None, Some(error), Some(*at)),
            Ended::Released => (TaskStatus::Pending, None, None, None),
            Ended::Wait(_) => return Ok(None),
        };
        Ok(Some(Self {
            index,
            claim: *claim,
            status,
            result: result.map(json).transpose()?,
            error: error.map(json).transpose()?,
            run_at,
            entry: entry(now, status, claim.attempt, error)?,
        }))
    }
}

/// Records the outcomes of tasks without parents and children, except retries of tasks whose cancellation was
/// requested. Returns the indices of the recorded outcomes.
async fn finish_alone(
    transaction: &mut Transaction<'_>,
    finished: &[OutcomeRecord],
    now: DateTime<Utc>,
) -> StoreResult<HashSet<usize>> {
    let mut seen = HashSet::new();
    let mut changes = Vec::with_capacity(finished.len());
    for (index, record) in finished.iter().enumerate() {
        if seen.insert(record.claim.task) {
            changes.extend(Change::new(index, record, now)?);
        }
    }
    // Sorted by task id: transactions that lock rows in one order cannot deadlock.
    changes.sort_unstable_by_key(|change| change.claim.task);
    if changes.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = sqlx::query(FINISH)
        .bind(changes.iter().map(|change| change.claim.task.0).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.claim.attempt.cast_signed()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.claim.worker.0).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.status.as_str()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.result.as_deref()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.error.as_deref()).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.run_at).collect::<Vec<_>>())
        .bind(changes.iter().map(|change| change.entry.as_str()).collect::<Vec<_>>())
        .bind(now)
        .fetch_all(&mut *transaction.connection)
        .await?;
    let ended = rows.iter().map(|row| Ok((TaskId(row.try_get("id")?), row.try_get("agent")?)));
    let mut ended = ended.collect::<StoreResult<HashMap<TaskId, String>>>()?;
    changes.retain(|change| ended.contains_key(&change.claim.task));
    let entered =
        changes.iter().filter_map(|change| Some((ended.remove(&change.claim.task)?, change.status)));
    transaction.effects.entered.extend(entered);
    if changes.iter().any(|change| change.status == TaskStatus::Pending) {
        transaction.effects.wake_ups.push(WakeUp::Queue);
    }
    transaction.effects.wake_ups.extend(changes.iter().map(|change| WakeUp::Task(change.claim.task)));
    Ok(changes.iter().map(|change| change.index).collect())
}

/// Reaps expired leases; returns how many tasks that were.
pub(super) async fn reap(transaction: &mut Transaction<'_>, now: DateTime<Utc>) -> StoreResult<u64> {
    // Each lease row is handled by one process. A locked task is being completed or renewed: a new lease row
    // has it looked at again after 1 s.
    const LAPSED: &str = "\
        DELETE FROM leases WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM leases WHERE until <= $1 ORDER BY until FOR UPDATE SKIP LOCKED))
        RETURNING tasks";
    const EXPIRED: &str = concat!(
        "SELECT ",
        task_columns!(text),
        " FROM tasks WHERE id = ANY($2) AND status = 'processing' AND lease_until <= $1
          ORDER BY id FOR UPDATE SKIP LOCKED"
    );
    const AGAIN: &str = "\
        INSERT INTO leases (until, tasks) SELECT $1 + interval '1 second', array_agg(id) FROM tasks
        WHERE id = ANY($2) AND id <> ALL($3) AND status = 'processing' AND lease_until <= $1 HAVING count(*) > 0";
    let connection = &mut *transaction.connection;
    let lapsed = sqlx::query(LAPSED).bind(now).fetch_all(&mut *connection).await?;
    let mut held: Vec<Uuid> = Vec::new();
    for row in &lapsed {
        held.extend(row.try_get::<Vec<Uuid>, _>(0)?);
    }
    if held.is_empty() {
        return Ok(0);
    }
    let rows = sqlx::query(EXPIRED).bind(now).bind(&held).fetch_all(&mut *connection).await?;
    let expired = rows.iter().map(|row| row.try_get("id")).collect::<Result<Vec<Uuid>, _>>()?;
    sqlx::query(AGAIN).bind(now).bind(&held).bind(expired).execute(connection).await?;
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
    transaction: &mut Transaction<'_>,
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
    transaction: &mut Transaction<'_>,
    id: TaskId,
    now: DateTime<Utc>,
) -> StoreResult<Task> {
    let mut changes = UnitOfWork::new(transaction);
    let task = changes.retry(id, now).await?;
    changes.flush().await?;
    Ok(task)
}

/// Removes an ended task with its events and messages; messages about it that were not published yet go to
/// the outbox.
pub(super) async fn delete(transaction: &mut Transaction<'_>, id: TaskId) -> StoreResult<()> {
    UnitOfWork::new(transaction).check_deletion(id).await?;
    outbox::leave(transaction.connection, &[id]).await?;
    agent_messages::forget(transaction.connection, &[id]).await?;
    for sql in ["DELETE FROM task_events WHERE task_id = $1", "DELETE FROM tasks WHERE id = $1"] {
        sqlx::query(sql).bind(id.0).execute(&mut *transaction.connection).await?;
    }
    Ok(())
}
