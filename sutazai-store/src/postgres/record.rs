//! A task as a row.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{EventPosition, FeedEvent, Task, TaskEvent, TaskId, UserId, WorkerId};
use uuid::Uuid;

use super::fault::Outcome;
use super::text::{from_json, given, json, kept};
use crate::rows::Record;

/// The columns of a task, in the order of [`decode`].
macro_rules! columns {
    () => {
        "id, owner, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at, \
         idempotency_key, unique_key, status::text, attempt, failures, result, error, state, parent_id, waiting_for, \
         cancel_requested, worker, lease_until, created_at, updated_at, started_at, finished_at, \
         trace, last_sequence, awaited"
    };
}
pub(super) use columns;

/// Reads a row of `columns!()`.
pub(super) fn decode(row: &PgRow) -> Outcome<Record> {
    let mut at = Cursor { row, next: 0 };
    let task = Task {
        id: TaskId(at.get()?),
        owner: at.get::<Option<Uuid>>()?.map(UserId),
        agent: at.get()?,
        title: given(at.get()?),
        description: given(at.get()?),
        payload: from_json(at.get::<Json<&RawValue>>()?.get())?,
        priority: at.get::<i16>()?.try_into().unwrap_or_default(),
        timeout_seconds: at.get::<i32>()?.unsigned_abs(),
        max_attempts: at.get::<i32>()?.unsigned_abs(),
        run_at: at.get()?,
        idempotency_key: at.get::<Option<String>>()?.map(given),
        unique_key: at.get::<Option<String>>()?.map(given),
        status: at.get::<&str>()?.parse()?,
        attempt: at.get::<i32>()?.unsigned_abs(),
        failures: at.get::<i32>()?.unsigned_abs(),
        result: at.json()?,
        error: at.json()?,
        state: at.json()?,
        parent: at.get::<Option<Uuid>>()?.map(TaskId),
        waiting_for: at.get::<i32>()?.unsigned_abs(),
        cancel_requested: at.get()?,
        worker: at.get::<Option<Uuid>>()?.map(WorkerId),
        lease_until: at.get()?,
        created_at: at.get()?,
        updated_at: at.get()?,
        started_at: at.get()?,
        finished_at: at.get()?,
        trace: at.get::<Option<&str>>()?.map(str::parse).transpose()?,
    };
    Ok(Record { task, last_sequence: at.get::<i64>()?.unsigned_abs(), awaited: at.get()? })
}

/// Reads a row of `sequence, at, kind`.
pub(super) fn decode_event(task_id: TaskId, row: &PgRow) -> Outcome<TaskEvent> {
    let kind: Json<&RawValue> = row.try_get(2)?;
    Ok(TaskEvent {
        task_id,
        sequence: row.try_get::<i64, _>(0)?.unsigned_abs(),
        at: row.try_get(1)?,
        kind: from_json(kind.get())?,
    })
}

/// Reads a row of `sequence, at, kind, transaction::text, number, task_id, owner`.
pub(super) fn decode_feed_event(row: &PgRow) -> Outcome<FeedEvent> {
    let number = row.try_get::<i64, _>(4)?.unsigned_abs();
    Ok(FeedEvent {
        position: position(row.try_get(3)?, number),
        owner: row.try_get::<Option<Uuid>, _>(6)?.map(UserId),
        event: decode_event(TaskId(row.try_get(5)?), row)?,
    })
}

/// Where the event of this number stands that this transaction wrote; a transaction is a number of 64 bits.
pub(super) fn position(transaction: &str, number: u64) -> EventPosition {
    EventPosition(transaction.parse::<u128>().unwrap_or_default() << 64 | u128::from(number))
}

/// Adds new tasks, each with its first event; gives the ids of those whose idempotency key was not there yet.
pub(super) async fn insert(connection: &mut PgConnection, added: &[&Record]) -> Outcome<Vec<TaskId>> {
    const INSERT: &str = "\
        WITH added AS (
            INSERT INTO tasks (id, owner, parent_id, agent, title, description, payload, priority, timeout_seconds,
                               max_attempts, run_at, idempotency_key, unique_key, created_at, updated_at, awaited,
                               trace)
            SELECT id, owner, parent_id, agent, title, description, payload::jsonb, priority, timeout_seconds,
                   max_attempts, run_at, idempotency_key, unique_key, created_at, created_at, awaited, trace
            FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[],
                        $8::smallint[], $9::integer[], $10::integer[], $11::timestamptz[], $12::text[],
                        $13::timestamptz[], $14::boolean[], $15::text[], $16::text[])
                AS new (id, owner, parent_id, agent, title, description, payload, priority, timeout_seconds,
                        max_attempts, run_at, idempotency_key, created_at, awaited, trace, unique_key)
            ON CONFLICT (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
                WHERE idempotency_key IS NOT NULL DO NOTHING
            RETURNING id, owner, created_at
        ), told AS (
            INSERT INTO task_events (task_id, sequence, owner, at, kind)
            SELECT id, 1, owner, created_at, '{\"type\": \"status\", \"status\": \"pending\", \"attempt\": 0}' FROM added
        )
        SELECT id FROM added";
    let column = Columns(added);
    let rows = sqlx::query(INSERT)
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
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect()
}

/// Writes the columns that change in the life of a task.
pub(super) async fn update(connection: &mut PgConnection, changed: &[&Record]) -> Outcome<()> {
    const UPDATE: &str = "\
        UPDATE tasks SET run_at = new.run_at, status = new.status::task_status, attempt = new.attempt,
            failures = new.failures, result = new.result::jsonb, error = new.error::jsonb, state = new.state::jsonb,
            waiting_for = new.waiting_for, cancel_requested = new.cancel_requested, worker = new.worker,
            lease_until = new.lease_until, updated_at = new.updated_at, started_at = new.started_at,
            finished_at = new.finished_at, last_sequence = new.last_sequence, awaited = new.awaited
        FROM unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::integer[], $5::integer[], $6::text[], $7::text[],
                    $8::text[], $9::integer[], $10::boolean[], $11::uuid[], $12::timestamptz[],
                    $13::timestamptz[], $14::timestamptz[], $15::timestamptz[], $16::bigint[], $17::boolean[])
            AS new (id, run_at, status, attempt, failures, result, error, state, waiting_for, cancel_requested,
                    worker, lease_until, updated_at, started_at, finished_at, last_sequence, awaited)
        WHERE tasks.id = new.id";
    let column = Columns(changed);
    sqlx::query(UPDATE)
        .bind(column.of(|task| task.id.0))
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
        .execute(connection)
        .await?;
    Ok(())
}

/// Adds events.
pub(super) async fn insert_events(
    connection: &mut PgConnection,
    events: &[&(Option<UserId>, TaskEvent)],
) -> Outcome<()> {
    const INSERT: &str = "\
        INSERT INTO task_events (task_id, sequence, owner, at, kind)
        SELECT task_id, sequence, owner, at, kind::jsonb
        FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::timestamptz[], $5::text[])
            AS new (task_id, sequence, owner, at, kind)";
    sqlx::query(INSERT)
        .bind(events.iter().map(|(_, event)| event.task_id.0).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, event)| event.sequence.cast_signed()).collect::<Vec<_>>())
        .bind(events.iter().map(|(owner, _)| owner.map(|owner| owner.0)).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, event)| event.at).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, event)| json(&event.kind)).collect::<Outcome<Vec<_>>>()?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Records turned into columns.
struct Columns<'r>(&'r [&'r Record]);

impl<'r> Columns<'r> {
    fn of<T>(&self, value: impl Fn(&'r Task) -> T) -> Vec<T> {
        self.0.iter().map(|record| value(&record.task)).collect()
    }

    fn json<T: Serialize + 'r>(
        &self,
        value: impl Fn(&'r Task) -> Option<&'r T>,
    ) -> Outcome<Vec<Option<String>>> {
        self.0.iter().map(|record| value(&record.task).map(json).transpose()).collect()
    }
}

/// Reads the columns of a row one after the other.
struct Cursor<'r> {
    row: &'r PgRow,
    next: usize,
}

impl<'r> Cursor<'r> {
    fn get<T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(&mut self) -> Outcome<T> {
        self.next += 1;
        Ok(self.row.try_get(self.next - 1)?)
    }

    fn json<T: DeserializeOwned>(&mut self) -> Outcome<Option<T>> {
        self.get::<Option<Json<&RawValue>>>()?.map(|json| from_json(json.get())).transpose()
    }
}
