//! Tasks as rows: columns, decoding and bindings.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Row};
use sutazai_core::domain::{
    EventKind, EventLogEntry, EventOffset, InstanceId, Task, TaskEvent, TaskId, TaskStatus, TraceContext,
    UserId,
};
use uuid::Uuid;

use super::error::StoreResult;
use super::statement::{instant, nanos};
use crate::task_repository::Record;

/// Columns of a task, in the order of [`Record::decode`] and [`Record::bind`].
macro_rules! columns {
    () => {
        "id, owner, agent, title, description, payload, priority, timeout_seconds, max_attempts, run_at, \
         idempotency_key, unique_key, status, attempt, failures, result, error, state, parent_id, waiting_for, \
         cancel_requested, worker, lease_until, created_at, updated_at, started_at, finished_at, \
         trace, last_sequence, awaited"
    };
}
pub(super) use columns;

/// Number of columns of a task.
const COLUMNS: usize = 30;

/// Statement that adds tasks, for [`bulk`](super::statement::bulk).
pub(super) const INSERT: (&str, usize, &str) =
    (concat!("INSERT INTO tasks (", columns!(), ") VALUES"), COLUMNS, "");

/// Statement that writes the columns that change during the life of a task.
pub(super) const UPDATE: (&str, usize, &str) = (
    "UPDATE tasks SET run_at = column2, status = column3, attempt = column4, failures = column5, \
     result = column6, error = column7, state = column8, waiting_for = column9, cancel_requested = column10, \
     worker = column11, lease_until = column12, updated_at = column13, started_at = column14, \
     finished_at = column15, last_sequence = column16, awaited = column17 FROM (VALUES",
    17,
    ") AS new WHERE tasks.id = new.column1",
);

/// Statement that adds events of tasks.
pub(super) const INSERT_EVENTS: (&str, usize, &str) =
    ("INSERT INTO task_events (task_id, sequence, owner, at, kind) VALUES", 5, "");

/// Returns the size of the payload, the result and the state of a row of `columns!()`, in bytes.
pub(super) fn json_bytes(row: &SqliteRow) -> usize {
    let bytes = |column: &str| row.try_get::<Option<&[u8]>, _>(column).ok().flatten().map(<[u8]>::len);
    ["payload", "result", "state"].into_iter().filter_map(bytes).sum()
}

impl Record {
    /// Decodes a row of `columns!()`. Columns that cannot be read stay empty and are named in `damaged`:
    /// SQLite checks neither that text is UTF-8 nor that a number or an id has the size that the program gave
    /// it.
    pub(super) fn decode(row: &SqliteRow) -> Self {
        let mut at = Cursor { row, next: 0, damaged: Vec::new() };
        let first = instant(i64::MIN);
        let task = Task {
            id: TaskId(at.get("id", Uuid::nil())),
            owner: at.get("owner", None).map(UserId),
            agent: at.get("agent", String::new()),
            title: at.get("title", String::new()),
            description: at.get("description", String::new()),
            payload: at.json("payload").unwrap_or_default(),
            priority: at.get("priority", 0),
            timeout_seconds: at.get("timeout_seconds", 0),
            max_attempts: at.get("max_attempts", 0),
            run_at: at.time("run_at", first),
            idempotency_key: at.get("idempotency_key", None),
            unique_key: at.get("unique_key", None),
            status: at.text("status").unwrap_or(TaskStatus::Failed),
            attempt: at.get("attempt", 0),
            failures: at.get("failures", 0),
            result: at.json("result"),
            error: at.json("error"),
            state: at.json("state"),
            parent: at.get("parent_id", None).map(TaskId),
            waiting_for: at.get("waiting_for", 0),
            cancel_requested: at.get("cancel_requested", false),
            worker: at.get("worker", None).map(InstanceId),
            lease_until: at.get("lease_until", None).map(instant),
            created_at: at.time("created_at", first),
            updated_at: at.time("updated_at", first),
            started_at: at.get("started_at", None).map(instant),
            finished_at: at.get("finished_at", None).map(instant),
            trace: at.text("trace"),
        };
        let (last_sequence, awaited) = (at.get("last_sequence", 0_i64), at.get("awaited", false));
        let record = Self { task, last_sequence: last_sequence.unsigned_abs(), awaited, damaged: Vec::new() };
        record.with_damage(at.damaged)
    }

    /// Binds the values of all columns.
    pub(super) fn bind(&self, to: &mut SqliteArguments) -> StoreResult<()> {
        let task = &self.task;
        to.add(task.id.0)?;
        to.add(task.owner.map(|owner| owner.0))?;
        to.add(task.agent.as_str())?;
        to.add(task.title.as_str())?;
        to.add(task.description.as_str())?;
        to.add(serde_json::to_string(&task.payload)?)?;
        to.add(task.priority)?;
        to.add(task.timeout_seconds)?;
        to.add(task.max_attempts)?;
        to.add(nanos(task.run_at))?;
        to.add(task.idempotency_key.as_deref())?;
        to.add(task.unique_key.as_deref())?;
        to.add(task.status.as_str())?;
        to.add(task.attempt)?;
        to.add(task.failures)?;
        to.add(text(task.result.as_ref())?)?;
        to.add(text(task.error.as_ref())?)?;
        to.add(text(task.state.as_ref())?)?;
        to.add(task.parent.map(|parent| parent.0))?;
        to.add(task.waiting_for)?;
        to.add(task.cancel_requested)?;
        to.add(task.worker.map(|worker| worker.0))?;
        to.add(task.lease_until.map(nanos))?;
        to.add(nanos(task.created_at))?;
        to.add(nanos(task.updated_at))?;
        to.add(task.started_at.map(nanos))?;
        to.add(task.finished_at.map(nanos))?;
        to.add(task.trace.as_ref().map(TraceContext::to_string))?;
        to.add(self.last_sequence.cast_signed())?;
        to.add(self.awaited)?;
        Ok(())
    }

    /// Binds the id and the values of [`UPDATE`].
    pub(super) fn bind_changes(&self, to: &mut SqliteArguments) -> StoreResult<()> {
        let task = &self.task;
        to.add(task.id.0)?;
        to.add(nanos(task.run_at))?;
        to.add(task.status.as_str())?;
        to.add(task.attempt)?;
        to.add(task.failures)?;
        to.add(text(task.result.as_ref())?)?;
        to.add(text(task.error.as_ref())?)?;
        to.add(text(task.state.as_ref())?)?;
        to.add(task.waiting_for)?;
        to.add(task.cancel_requested)?;
        to.add(task.worker.map(|worker| worker.0))?;
        to.add(task.lease_until.map(nanos))?;
        to.add(nanos(task.updated_at))?;
        to.add(task.started_at.map(nanos))?;
        to.add(task.finished_at.map(nanos))?;
        to.add(self.last_sequence.cast_signed())?;
        to.add(self.awaited)?;
        Ok(())
    }
}

/// Binds the values of [`INSERT_EVENTS`].
pub(super) fn bind_event(
    (owner, event): &(Option<UserId>, TaskEvent),
    to: &mut SqliteArguments,
) -> StoreResult<()> {
    to.add(event.task_id.0)?;
    to.add(event.sequence.cast_signed())?;
    to.add(owner.map(|owner| owner.0))?;
    to.add(nanos(event.at))?;
    to.add(serde_json::to_string(&event.kind)?)?;
    Ok(())
}

/// Returns the size in bytes of the content of an event in a row of `sequence, at, kind`.
pub(super) fn event_bytes(row: &SqliteRow) -> usize {
    row.try_get::<&[u8], _>(2).map_or(0, <[u8]>::len)
}

/// Decodes a row of `sequence, at, kind`.
pub(super) fn decode_event(task_id: TaskId, row: &SqliteRow) -> StoreResult<TaskEvent> {
    let kind: EventKind = serde_json::from_str(row.try_get(2)?)?;
    Ok(TaskEvent {
        task_id,
        sequence: row.try_get::<i64, _>(0)?.unsigned_abs(),
        at: instant(row.try_get(1)?),
        kind,
    })
}

/// Decodes a row of `sequence, at, kind, position, task_id, owner`.
pub(super) fn decode_log_entry(row: &SqliteRow) -> StoreResult<EventLogEntry> {
    Ok(EventLogEntry {
        position: EventOffset(row.try_get::<i64, _>(3)?.unsigned_abs().into()),
        owner: row.try_get::<Option<Uuid>, _>(5)?.map(UserId),
        event: decode_event(TaskId(row.try_get(4)?), row)?,
    })
}

/// Reads the columns of a row in order.
struct Cursor<'r> {
    row: &'r SqliteRow,
    next: usize,
    /// Columns whose content cannot be read.
    damaged: Vec<&'static str>,
}

impl<'r> Cursor<'r> {
    /// Returns the next column, or `neutral` if it cannot be read.
    fn get<T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(
        &mut self,
        column: &'static str,
        neutral: T,
    ) -> T {
        self.next += 1;
        self.row.try_get(self.next - 1).unwrap_or_else(|_| {
            self.damaged.push(column);
            neutral
        })
    }

    fn time(&mut self, column: &'static str, neutral: DateTime<Utc>) -> DateTime<Utc> {
        self.get::<Option<i64>>(column, None).map_or(neutral, instant)
    }

    fn text<T: FromStr>(&mut self, column: &'static str) -> Option<T> {
        let text = self.get::<Option<&str>>(column, None)?;
        text.parse().map_err(|_| self.damaged.push(column)).ok()
    }

    fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> Option<T> {
        let text = self.get::<Option<&str>>(column, None)?;
        serde_json::from_str(text).map_err(|_| self.damaged.push(column)).ok()
    }
}

fn text<T: Serialize>(value: Option<&T>) -> StoreResult<Option<String>> {
    Ok(value.map(serde_json::to_string).transpose()?)
}
