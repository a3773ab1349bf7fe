//! Tasks as rows: columns, decoding, inserts and updates.

use std::collections::HashMap;
use std::fmt::Write;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{EventKind, InstanceId, Task, TaskEvent, TaskId, TraceContext, UserId};
use uuid::Uuid;

use super::error::StoreResult;
use super::events::entry;
use super::text::{from_json, given, json, kept};
use super::time::Times;
use crate::task_repository::Record;

/// Columns of a task, in the order in which [`decode`] reads them.
macro_rules! columns {
    () => {
        "id, owner, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at, \
         idempotency_key, unique_key, status::text, attempt, failures, result, error, state, parent_id, waiting_for, \
         cancel_requested, worker, lease_until, created_at, updated_at, started_at, finished_at, \
         trace, last_sequence, awaited"
    };
}
pub(super) use columns;

/// Condition that joins a row of `queue` with one of these pending tasks. It names all columns of the queue's
/// index, so that the row is found by one search.
macro_rules! in_queue {
    ($tasks:literal) => {
        concat!(
            "tasks.id = ANY(",
            $tasks,
            ") AND tasks.status = 'pending' AND tasks.waiting_for = 0
            AND queue.owner = coalesce(tasks.owner, '00000000-0000-0000-0000-000000000000')
            AND queue.agent = tasks.agent AND queue.priority = tasks.priority AND queue.run_at = tasks.run_at
            AND queue.task = tasks.id"
        )
    };
}
pub(super) use in_queue;

/// Returns the size of the payload, the result and the state of a row of `columns!()`, in bytes.
pub(super) fn json_bytes(row: &PgRow) -> usize {
    ["payload", "result", "state"].into_iter().map(|column| json_column_bytes(row, column)).sum()
}

/// Bytes of the JSON in a column; none where it is null.
pub(super) fn json_column_bytes(row: &PgRow, column: &str) -> usize {
    row.try_get_raw(column).ok().and_then(|value| value.as_bytes().ok().map(<[u8]>::len)).unwrap_or_default()
}

/// Decodes a row of `columns!()`. Columns that cannot be parsed stay empty and are named in `damaged`.
pub(super) fn decode(row: &PgRow) -> StoreResult<Record> {
    let mut at = Cursor { row, next: 0, damaged: Vec::new() };
    let task = Task {
        id: TaskId(at.get()?),
        owner: at.get::<Option<Uuid>>()?.map(UserId),
        agent: at.get()?,
        title: given(at.get()?),
        description: given(at.get()?),
        payload: at.json("payload")?.unwrap_or_default(),
        priority: at.get::<i16>()?.try_into().unwrap_or_default(),
        timeout_seconds: at.get::<i32>()?.unsigned_abs(),
        max_attempts: at.get::<i32>()?.unsigned_abs(),
        run_at: at.time()?,
        idempotency_key: at.get::<Option<String>>()?.map(given),
        unique_key: at.get::<Option<String>>()?.map(given),
        status: at.get::<&str>()?.parse()?,
        attempt: at.get::<i32>()?.unsigned_abs(),
        failures: at.get::<i32>()?.unsigned_abs(),
        result: at.json("result")?,
        error: at.json("error")?,
        state: at.json("state")?,
        parent: at.get::<Option<Uuid>>()?.map(TaskId),
        waiting_for: at.get::<i32>()?.unsigned_abs(),
        cancel_requested: at.get()?,
        worker: at.get::<Option<Uuid>>()?.map(InstanceId),
        lease_until: at.time_if_any()?,
        created_at: at.time()?,
        updated_at: at.time()?,
        started_at: at.time_if_any()?,
        finished_at: at.time_if_any()?,
        trace: at.trace()?,
    };
    let (last_sequence, awaited) = (at.get::<i64>()?.unsigned_abs(), at.get()?);
    Ok(Record { task, last_sequence, awaited, damaged: Vec::new() }.with_damage(at.damaged))
}

/// Adds tasks to the table and the event log, and to the queue or the leases.
macro_rules! insert {
    ($on_conflict:literal) => {
        concat!(
            "WITH added AS (
                INSERT INTO tasks (id, owner, parent_id, agent, title, description, payload, priority, timeout_seconds,
                                   max_attempts, run_at, idempotency_key, unique_key, active_key, created_at,
                                   updated_at, awaited, trace, worker, lease_until, started_at, status, attempt,
                                   last_sequence, history)
                SELECT id, owner, parent_id, agent, title, description, payload::jsonb, priority, timeout_seconds,
                       max_attempts, run_at, idempotency_key, unique_key, unique_key, created_at,
                       coalesce(started_at, created_at), awaited, trace, worker, lease_until, started_at,
                       CASE WHEN worker IS NULL THEN 'pending' ELSE 'processing' END::task_status,
                       (worker IS NOT NULL)::integer, 1 + (worker IS NOT NULL)::integer, history
                FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                            $8::smallint[], $9::integer[], $10::integer[], $11::timestamptz[], $12::text[],
                            $13::timestamptz[], $14::boolean[], $15::text[], $16::text[], $17::uuid[],
                            $18::timestamptz[], $19::timestamptz[], $20::text[])
                    AS new (id, owner, parent_id, agent, title, description, payload, priority, timeout_seconds,
                            max_attempts, run_at, idempotency_key, created_at, awaited, trace, unique_key, worker,
                            lease_until, started_at, history)
                ",
            $on_conflict,
            " RETURNING id, owner, agent, priority, run_at, status, lease_until
            ), queued AS (
                INSERT INTO queue (owner, agent, priority, run_at, task)
                SELECT coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, priority, run_at, id
                FROM added WHERE status = 'pending'
            ), leased AS (
                INSERT INTO leases (until, tasks)
                SELECT lease_until, array_agg(id) FROM added WHERE status = 'processing' GROUP BY lease_until
                RETURNING id, until
            ), told AS (
                INSERT INTO event_log (owner, tasks, sequences)
                SELECT owner, array_agg(id), array_agg(sequence)
                FROM (SELECT owner, id, 1 AS sequence FROM added
                    UNION ALL SELECT owner, id, 2 FROM added WHERE status = 'processing') AS entered GROUP BY owner
            )
            SELECT id, CASE WHEN status = 'processing'
                THEN (SELECT leased.id FROM leased WHERE leased.until = added.lease_until) END
            FROM added"
        )
    };
}

/// Adds new tasks, each with its first event, or with two events if it is added as claimed. Returns the ids
/// of those whose idempotency key was free, each with its lease row.
pub(super) async fn insert(
    connection: &mut PgConnection,
    added: &[&Record],
) -> StoreResult<Vec<(TaskId, Option<i64>)>> {
    // An insert with a conflict clause writes a speculative row first, which costs a second write for each
    // task.
    const INSERT: &str = insert!("");
    const INSERT_UNKNOWN: &str = insert!(
        "ON CONFLICT (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
            WHERE idempotency_key IS NOT NULL DO NOTHING"
    );
    let keyed = added.iter().any(|record| record.task.idempotency_key.is_some());
    let mut histories = Vec::with_capacity(added.len());
    for Record { task, .. } in added {
        histories.push(match task.started_at {
            Some(at) => format!("[2{}", entry(at, task.status, task.attempt, None)?),
            None => String::new(),
        });
    }
    let column = Columns(added);
    let rows = sqlx::query(if keyed { INSERT_UNKNOWN } else { INSERT })
        .bind(column.of(|task| task.id.0))
        .bind(column.of(|task| task.owner.map(|owner| owner.0)))
        .bind(column.of(|task| task.parent.map(|parent| parent.0)))
        .bind(column.of(|task| task.agent.as_str()))
        .bind(column.of(|task| kept(&task.title)))
        .bind(column.of(|task| kept(&task.description)))
        .bind(column.json(|task| Some(&task.payload))?)
        .bind(column.of(|task| i16::from(task.priority)))
        .bind(column.of(|task| task.timeout_seconds.cast_signed()))
        .bind(column.of(|task| task.max_attempts.cast_signed()))
        .bind(column.of(|task| task.run_at))
        .bind(column.of(|task| task.idempotency_key.as_deref().map(kept)))
        .bind(column.of(|task| task.created_at))
        .bind(added.iter().map(|record| record.awaited).collect::<Vec<_>>())
        .bind(column.of(|task| task.trace.as_ref().map(ToString::to_string)))
        .bind(column.of(|task| task.unique_key.as_deref().map(kept)))
        .bind(column.of(|task| task.worker.map(|worker| worker.0)))
        .bind(column.of(|task| task.lease_until))
        .bind(column.of(|task| task.started_at))
        .bind(histories)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((TaskId(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// Writes the columns that change during the life of a task, the statuses that it has entered, and its row in
/// the queue. The caller must have locked all rows.
pub(super) async fn update(
    connection: &mut PgConnection,
    changed: &[&Record],
    events: &[(Option<UserId>, TaskEvent)],
) -> StoreResult<()> {
    const LEAVE_QUEUE: &str = concat!("DELETE FROM queue USING tasks WHERE ", in_queue!("$1"));
    const UPDATE: &str = "\
        WITH changed AS (
            UPDATE tasks SET run_at = new.run_at, status = new.status::task_status, attempt = new.attempt,
                failures = new.failures, result = new.result::jsonb, error = new.error::jsonb,
                state = new.state::jsonb, waiting_for = new.waiting_for, cancel_requested = new.cancel_requested,
                worker = new.worker, lease_until = new.lease_until, updated_at = new.updated_at,
                started_at = new.started_at, finished_at = new.finished_at, last_sequence = new.last_sequence,
                awaited = new.awaited, history = tasks.history || new.history,
                active_key = CASE WHEN new.finished_at IS NULL THEN tasks.unique_key END,
                ended_in = CASE WHEN new.finished_at IS NOT NULL THEN coalesce(tasks.ended_in, pg_current_xact_id()) END
            FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::integer[], $5::integer[], $6::text[],
                        $7::text[], $8::text[], $9::integer[], $10::boolean[], $11::uuid[], $12::timestamptz[],
                        $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::bigint[], $17::boolean[],
                        $18::text[])
                AS new (id, run_at, status, attempt, failures, result, error, state, waiting_for, cancel_requested,
                        worker, lease_until, updated_at, started_at, finished_at, last_sequence, awaited, history)
            WHERE tasks.id = new.id
            RETURNING tasks.owner, tasks.agent, tasks.priority, tasks.run_at, tasks.id, tasks.status,
                tasks.waiting_for
        )
        INSERT INTO queue (owner, agent, priority, run_at, task)
        SELECT coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, priority, run_at, id
        FROM changed WHERE status = 'pending' AND waiting_for = 0";
    let mut histories: HashMap<TaskId, String> = HashMap::new();
    for (_, event) in events {
        // Only status events are in the history; events that agents report go to `task_events` when they are
        // appended.
        let EventKind::Status { status, attempt, error } = &event.kind else { continue };
        let history = histories.entry(event.task_id).or_default();
        let entry = entry(event.at, *status, *attempt, error.as_ref())?;
        let _ = write!(history, "[{}{entry}", event.sequence);
    }
    let column = Columns(changed);
    let ids = column.of(|task| task.id.0);
    sqlx::query(LEAVE_QUEUE).bind(&ids).execute(&mut *connection).await?;
    sqlx::query(UPDATE)
        .bind(&ids)
        .bind(column.of(|task| task.run_at))
        .bind(column.of(|task| task.status.as_str()))
        .bind(column.of(|task| task.attempt.cast_signed()))
        .bind(column.of(|task| task.failures.cast_signed()))
        .bind(column.json(|task| task.result.as_ref())?)
        .bind(column.json(|task| task.error.as_ref())?)
        .bind(column.json(|task| task.state.as_ref())?)
        .bind(column.of(|task| task.waiting_for.cast_signed()))
        .bind(column.of(|task| task.cancel_requested))
        .bind(column.of(|task| task.worker.map(|worker| worker.0)))
        .bind(column.of(|task| task.lease_until))
        .bind(column.of(|task| task.updated_at))
        .bind(column.of(|task| task.started_at))
        .bind(column.of(|task| task.finished_at))
        .bind(changed.iter().map(|record| record.last_sequence.cast_signed()).collect::<Vec<_>>())
        .bind(changed.iter().map(|record| record.awaited).collect::<Vec<_>>())
        .bind(column.of(|task| histories.get(&task.id).map_or("", String::as_str)))
        .execute(connection)
        .await?;
    Ok(())
}

/// Transposes records into one array per column.
struct Columns<'r>(&'r [&'r Record]);

impl<'r> Columns<'r> {
    fn of<T>(&self, value: impl Fn(&'r Task) -> T) -> Vec<T> {
        self.0.iter().map(|record| value(&record.task)).collect()
    }

    fn json<T: Serialize + 'r>(
        &self,
        value: impl Fn(&'r Task) -> Option<&'r T>,
    ) -> StoreResult<Vec<Option<String>>> {
        self.0.iter().map(|record| value(&record.task).map(json).transpose()).collect()
    }
}

/// Reads the columns of a row in order.
struct Cursor<'r> {
    row: &'r PgRow,
    next: usize,
    /// Columns whose content cannot be parsed.
    damaged: Vec<&'static str>,
}

impl<'r> Cursor<'r> {
    fn get<T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(&mut self) -> StoreResult<T> {
        self.next += 1;
        Ok(self.row.try_get(self.next - 1)?)
    }

    fn time(&mut self) -> StoreResult<DateTime<Utc>> {
        self.next += 1;
        self.row.time(self.next - 1)
    }

    fn time_if_any(&mut self) -> StoreResult<Option<DateTime<Utc>>> {
        self.next += 1;
        self.row.time_if_any(self.next - 1)
    }

    fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> StoreResult<Option<T>> {
        let Some(json) = self.get::<Option<Json<&RawValue>>>()? else { return Ok(None) };
        Ok(from_json(json.get()).map_err(|_| self.damaged.push(column)).ok())
    }

    fn trace(&mut self) -> StoreResult<Option<TraceContext>> {
        let Some(text) = self.get::<Option<&str>>()? else { return Ok(None) };
        Ok(text.parse().map_err(|_| self.damaged.push("trace")).ok())
    }
}
