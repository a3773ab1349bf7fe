//! Claims tasks fairly across owners with `FOR UPDATE SKIP LOCKED`.
//!
//! Without concurrency limits a claim is two statements, each a transaction of its own: a skip scan finds the
//! due queue partitions without a lock, then their tasks are locked with `SKIP LOCKED`, so any number of
//! processes claim at once. With limits, claims are serialized by an advisory lock: each one must count what
//! the claims before it have started. Without limits that lock would also make claims exact in their order,
//! but they would wait for each other; it would be right for a few workers whose tasks take seconds.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::adapter::ConcurrencyBudget;
use sutazai_core::domain::{
    Claim, ConcurrencyLimits, Outcome as Ended, OutcomeRecord, PRIORITY_AGING, Task, TaskId, UserId, later,
};
use sutazai_core::ports::ClaimRequest;
use sutazai_core::task_store::Record;
use uuid::Uuid;

use super::error::StoreResult;
use super::keys::keys;
use super::leases::Leases;
use super::record::in_queue;
use super::time::Times;
use super::transaction::Transaction;
use crate::columns::{decode_task, task_columns};
use crate::fair_claiming::{
    Due, OwnerPartitions, PAGE, Partition, PartitionKey, QueuePartitions, owners, pick,
};

/// Skip scan: the first task of each queue partition after `$1` owner, `$2` agent, `$3` priority, found by
/// one index search each.
macro_rules! heads {
    () => {
        "WITH RECURSIVE partitions AS (
            (SELECT owner, agent, priority, run_at, task FROM queue WHERE (owner, agent, priority) > ($1, $2, $3)
            ORDER BY owner, agent, priority, run_at, task LIMIT 1)
            UNION ALL
            SELECT next.* FROM partitions CROSS JOIN LATERAL (
                SELECT owner, agent, priority, run_at, task FROM queue
                WHERE (owner, agent, priority) > (partitions.owner, partitions.agent, partitions.priority)
                ORDER BY owner, agent, priority, run_at, task LIMIT 1
            ) AS next
        ) "
    };
}

/// First tasks of the next `$4` partitions.
pub(super) const HEADS: &str =
    concat!(heads!(), "SELECT owner, agent, priority, run_at, task FROM partitions LIMIT $4");

/// Next time at which a task of these agents (`$4`) is due or a lease expires; `$1`, `$2`, `$3` sort before
/// all partitions.
pub(super) const NEXT_DUE: &str = concat!(
    heads!(),
    "SELECT min(due) FROM (
        SELECT run_at AS due FROM partitions WHERE agent = ANY($4)
        UNION ALL SELECT min(until) FROM leases
    ) AS all_due"
);

/// Starts the attempts of the chosen tasks, the command `Claim` of the life cycle: `$1` now, `$2` the worker, `$3` the end of the lease, `$4` the
/// part of the history entry between its sequence and its attempt. Removes the lease rows `$5`, which are
/// spent. Keys come as arrays, so that no plan reads a whole table.
macro_rules! take {
    ($which:expr) => {
        concat!(
            "WITH due AS MATERIALIZED (",
            $which,
            "), taken AS (
                DELETE FROM queue WHERE ctid = ANY(ARRAY(SELECT place FROM due))
            ), claimed AS (
                UPDATE tasks SET status = 'processing', attempt = attempt + 1, worker = $2, lease_until = $3,
                    started_at = $1, updated_at = $1, last_sequence = last_sequence + 1,
                    history = history || '[' || last_sequence + 1 || $4 || attempt + 1 || E',null]\n'
                WHERE id = ANY(ARRAY(SELECT task FROM due)) AND status = 'pending'
                RETURNING *
            ), leased AS (
                INSERT INTO leases (until, tasks) SELECT $3, array_agg(id) FROM claimed HAVING count(*) > 0
                RETURNING id
            ), spent AS (
                DELETE FROM leases WHERE id = ANY($5)
            ), told AS (
                INSERT INTO event_log (owner, tasks, sequences)
                SELECT owner, array_agg(id), array_agg(last_sequence) FROM claimed GROUP BY owner
            )
            SELECT ",
            task_columns!(text),
            ", (SELECT leased.id FROM leased) AS lease FROM claimed"
        )
    };
}

/// Takes from the partitions `$6` owner, `$7` agent, `$8` priority: `$9` tasks in all, one of each owner per
/// round in the order of [`scheduling_key`](sutazai_core::domain::scheduling_key) with the aging `$11`, and at
/// most `$10` of a partition. That bound keeps a claim from locking tasks that it does not take,
/// which concurrent claims would skip.
pub(super) const TAKE_FROM: &str = take!(
    "SELECT owners.task, owners.place FROM (
        SELECT head.task, head.place, partitions.number,
            row_number() OVER (PARTITION BY partitions.owner ORDER BY head.aged, head.run_at, head.task) AS round
        FROM unnest($6::uuid[], $7::text[], $8::smallint[]) WITH ORDINALITY
            AS partitions (owner, agent, priority, number)
        CROSS JOIN LATERAL (
            SELECT task, ctid AS place, run_at, greatest(run_at, 'epoch') - partitions.priority * $11::interval AS aged FROM queue
            WHERE owner = partitions.owner AND agent = partitions.agent AND priority = partitions.priority AND run_at <= $1
            ORDER BY queue.run_at, queue.task LIMIT $10 FOR UPDATE SKIP LOCKED
        ) AS head
    ) AS owners ORDER BY owners.round, owners.number LIMIT $9"
);

/// Takes those of the tasks `$6` that no other claim has taken.
const TAKE: &str = take!(concat!(
    "SELECT queue.task, queue.ctid AS place FROM queue, tasks WHERE ",
    in_queue!("$6"),
    " FOR UPDATE OF queue SKIP LOCKED"
));

/// Result of one claim: the tasks that it has taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Tasks that can be run.
    pub(super) claims: Vec<Claim>,
    /// Failures to record for tasks that cannot be run, because some columns cannot be read. Their leases are
    /// held like the others.
    pub(super) damaged: Vec<OutcomeRecord>,
}

/// Claims up to `request.limit` due tasks, fairly across owners, without concurrency limits.
pub(super) async fn claim(
    connection: &mut PgConnection,
    (request, leases): (&ClaimRequest, &Leases),
) -> StoreResult<Taken> {
    let no_limits = ConcurrencyLimits::default();
    let mut owners = owners(connection, request, &ConcurrencyBudget::new(&no_limits, [])).await?;
    let (mut tasks, mut damaged) = (Vec::new(), Vec::new());
    while !owners.is_empty() && tasks.len() < request.limit as usize {
        let left = request.limit as usize - tasks.len();
        let share = left.div_ceil(owners.len());
        let (taken, unusable) = take_from(connection, (request, leases), &owners, left, share).await?;
        damaged.extend(unusable);
        // An owner who gave less than the share has no more; the next round divides the rest among the
        // others.
        let mut given: HashMap<Option<UserId>, usize> = HashMap::new();
        taken.iter().for_each(|task| *given.entry(task.owner).or_default() += 1);
        owners.retain(|owner_partitions| {
            given.get(&owner_partitions.owner()).is_some_and(|given| *given >= share)
        });
        tasks.extend(taken);
    }
    let claims = with_children(connection, in_turns(tasks, request.after)).await?;
    Ok(Taken { claims, damaged })
}

/// Claims up to `request.limit` due tasks, fairly across owners, within the concurrency limits.
pub(super) async fn claim_limited(
    transaction: &mut Transaction<'_>,
    (request, leases): (&ClaimRequest, &Leases),
) -> StoreResult<Taken> {
    lock(transaction).await?;
    let picked = pick(transaction.connection, request).await?;
    take(transaction, (request, leases), &picked).await
}

/// Claims this due task alone, within the limits, if no other claim has taken it.
pub(super) async fn claim_alone(
    transaction: &mut Transaction<'_>,
    (request, leases): (&ClaimRequest, &Leases),
    id: TaskId,
) -> StoreResult<Taken> {
    if request.limits.are_set() {
        lock(transaction).await?;
        if !pick(transaction.connection, request).await?.contains(&id) {
            return Ok(Taken::default());
        }
    }
    take(transaction, (request, leases), &[id]).await
}

/// Waits until no other transaction claims within limits, and keeps them out until the end of this one.
async fn lock(transaction: &mut Transaction<'_>) -> StoreResult<()> {
    // Arbitrary key that other programs are unlikely to use: "sutaclai" in ASCII.
    const LOCK: &str = "SELECT pg_advisory_xact_lock(x'73757461636c6169'::bigint)";
    sqlx::raw_sql(LOCK).execute(&mut *transaction.connection).await?;
    Ok(())
}

/// Takes those of these due tasks that no other claim has taken.
async fn take(
    transaction: &mut Transaction<'_>,
    (request, leases): (&ClaimRequest, &Leases),
    picked: &[TaskId],
) -> StoreResult<Taken> {
    if picked.is_empty() {
        return Ok(Taken::default());
    }
    let rows = sqlx::query(TAKE)
        .bind(request.now)
        .bind(request.worker.0)
        .bind(later(request.now, request.lease))
        .bind(entered(request))
        .bind(leases.spent())
        .bind(keys(picked))
        .fetch_all(&mut *transaction.connection)
        .await?;
    let (tasks, damaged) = held(&rows, leases)?;
    let claims = with_children(transaction.connection, in_turns(tasks, request.after)).await?;
    Ok(Taken { claims, damaged })
}

async fn take_from(
    connection: &mut PgConnection,
    (request, leases): (&ClaimRequest, &Leases),
    owners: &[OwnerPartitions],
    limit: usize,
    share: usize,
) -> StoreResult<(Vec<Task>, Vec<OutcomeRecord>)> {
    let partitions = || {
        owners
            .iter()
            .flat_map(|owner_partitions| &owner_partitions.partitions)
            .map(|partition| &partition.key)
    };
    let rows = sqlx::query(TAKE_FROM)
        .bind(request.now)
        .bind(request.worker.0)
        .bind(later(request.now, request.lease))
        .bind(entered(request))
        .bind(leases.spent())
        .bind(partitions().map(|partition| partition.owner).collect::<Vec<_>>())
        .bind(partitions().map(|partition| partition.agent.as_str()).collect::<Vec<_>>())
        .bind(partitions().map(|partition| partition.priority).collect::<Vec<_>>())
        .bind(limit as i64)
        .bind(share as i64)
        .bind(aging())
        .fetch_all(connection)
        .await?;
    held(&rows, leases)
}

/// Decodes the taken tasks and registers them under their lease row; returns the runnable ones and the
/// failures of the others.
fn held(rows: &[PgRow], leases: &Leases) -> StoreResult<(Vec<Task>, Vec<OutcomeRecord>)> {
    let records = rows.iter().map(decode_task).collect::<StoreResult<Vec<Record>>>()?;
    if let Some(row) = rows.first() {
        let held = records.iter().map(|record| (record.task.id, record.task.attempt));
        leases.hold(row.try_get("lease")?, held);
    }
    let (mut tasks, mut damaged) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records {
        match record.damage() {
            None => tasks.push(record.task),
            Some(error) => {
                let claim = Claim { task: record.task, children: Vec::new() }.key();
                damaged.push(OutcomeRecord { claim, outcome: Ended::Failed(error) });
            }
        }
    }
    Ok((tasks, damaged))
}

/// Returns the aging of one priority level, `$11` of [`TAKE_FROM`].
pub(super) fn aging() -> TimeDelta {
    TimeDelta::seconds(PRIORITY_AGING.as_secs().cast_signed())
}

/// Returns the part of a history entry between its sequence and its attempt.
fn entered(request: &ClaimRequest) -> String {
    format!(",{},\"processing\",", request.now.timestamp_micros())
}

/// Sorts the taken tasks into round-robin order, starting after the owner `after`.
fn in_turns(mut tasks: Vec<Task>, after: Option<UserId>) -> Vec<Task> {
    tasks.sort_unstable_by_key(Task::scheduling_key);
    let mut given: HashMap<Option<UserId>, usize> = HashMap::new();
    let mut placed: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let round = given.entry(task.owner).or_default();
            *round += 1;
            ((*round, task.owner <= after, task.owner), task)
        })
        .collect();
    placed.sort_unstable_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, task)| task).collect()
}

/// Builds the claims, each with the children of its task's last wait, in order.
async fn with_children(connection: &mut PgConnection, tasks: Vec<Task>) -> StoreResult<Vec<Claim>> {
    const CHILDREN: &str = concat!(
        "SELECT ",
        task_columns!(text),
        ", asked_by FROM (SELECT parent_id AS asked_by, position, child_id FROM task_waits
            WHERE parent_id = ANY($1)) AS asked JOIN tasks ON id = child_id ORDER BY asked_by, position"
    );
    // Only a task that has waited before has a state, so most claims skip this query.
    let parents: Vec<TaskId> = tasks.iter().filter(|task| task.state.is_some()).map(|task| task.id).collect();
    let mut children: HashMap<TaskId, Vec<Task>> = HashMap::new();
    if !parents.is_empty() {
        let rows = sqlx::query(CHILDREN).bind(keys(&parents)).fetch_all(connection).await?;
        for row in &rows {
            children.entry(TaskId(row.try_get("asked_by")?)).or_default().push(decode_task(row)?.task);
        }
    }
    let claims =
        tasks.into_iter().map(|task| Claim { children: children.remove(&task.id).unwrap_or_default(), task });
    Ok(claims.collect())
}

/// Returns when the next task of these agents is due or the next lease expires.
pub(super) async fn next_due(
    connection: &mut PgConnection,
    agents: &[String],
) -> StoreResult<Option<DateTime<Utc>>> {
    let query = sqlx::query(NEXT_DUE).bind(Uuid::nil()).bind("").bind(-1_i16).bind(agents);
    query.fetch_one(connection).await?.time_if_any(0)
}

#[async_trait]
impl QueuePartitions for PgConnection {
    async fn partitions_after(&mut self, key: &PartitionKey) -> StoreResult<Vec<Partition>> {
        let query = sqlx::query(HEADS).bind(key.owner).bind(&key.agent).bind(key.priority).bind(PAGE as i64);
        let partition = |row: &PgRow| -> StoreResult<Partition> {
            let (owner, agent) = (row.try_get("owner")?, row.try_get("agent")?);
            let priority = row.try_get("priority")?;
            let head = (row.time("run_at")?, TaskId(row.try_get("task")?));
            Ok(Partition::new(PartitionKey { owner, agent, priority }, head))
        };
        query.fetch_all(self).await?.iter().map(partition).collect()
    }

    async fn due_in(
        &mut self,
        key: &PartitionKey,
        (run_at, id): Due,
        now: DateTime<Utc>,
        limit: usize,
    ) -> StoreResult<Vec<Due>> {
        const DUE: &str = "\
            SELECT run_at, task FROM queue WHERE owner = $1 AND agent = $2 AND priority = $3 \
            AND (run_at, task) > ($4, $5) AND run_at <= $6 ORDER BY run_at, task LIMIT $7";
        let rows = sqlx::query(DUE)
            .bind(key.owner)
            .bind(&key.agent)
            .bind(key.priority)
            .bind(run_at)
            .bind(id.0)
            .bind(now)
            .bind(limit as i64)
            .fetch_all(self)
            .await?;
        rows.iter().map(|row| Ok((row.time("run_at")?, TaskId(row.try_get("task")?)))).collect()
    }

    async fn running(&mut self) -> StoreResult<Vec<(Option<UserId>, String, u32)>> {
        const RUNNING: &str = "\
            SELECT owner, agent, count(*) AS running FROM tasks
            WHERE id = ANY(ARRAY(SELECT unnest(tasks) FROM leases)) AND status = 'processing' GROUP BY owner, agent";
        let rows = sqlx::query(RUNNING).fetch_all(self).await?;
        let count = |row: &PgRow| {
            let count = u32::try_from(row.try_get::<i64, _>("running")?).unwrap_or(u32::MAX);
            Ok((row.try_get::<Option<Uuid>, _>("owner")?.map(UserId), row.try_get("agent")?, count))
        };
        rows.iter().map(count).collect()
    }
}
