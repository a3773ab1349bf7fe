//! Tasks as rows: inserts and updates, with their rows in the queue.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use sqlx::postgres::PgArguments;
use sqlx::{Arguments, PgConnection, Row};
use sutazai_core::domain::{EventKind, TaskEvent, TaskId, UserId};
use sutazai_core::task_store::Record;

use super::columns::{arrays, bind_arrays, cast, unnested};
use super::error::StoreResult;
use super::events::entry;
use crate::columns::{Column, Entity, Written, join, names, summary_columns};

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

/// Adds pending tasks to the queue: the rows of this part of a statement, with their columns of `tasks`.
macro_rules! enter_queue {
    ($from:literal) => {
        concat!(
            "INSERT INTO queue (owner, agent, priority, run_at, task)
            SELECT coalesce(owner, '00000000-0000-0000-0000-000000000000'), agent, priority, run_at, id FROM ",
            $from
        )
    };
}
pub(super) use enter_queue;

/// Columns of a summary, as SELECT names them. They end with parts of the result.
pub(super) static SUMMARY: LazyLock<String> = LazyLock::new(|| {
    let columns = join(summary_columns(), |_, column| {
        format!("{}{}", column.name, column.cast.map_or("", |_| "::text"))
    });
    format!(
        "{columns}, result ->> 'priority_level' AS priority_level,
            CASE jsonb_typeof(result -> 'findings') WHEN 'array' THEN
                jsonb_path_query_array(result -> 'findings', '$[*] ? (@.type() == \"object\").severity')::text
            END AS severities"
    )
});

static INSERT: LazyLock<String> = LazyLock::new(|| insert_tasks(""));
static INSERT_UNKNOWN: LazyLock<String> = LazyLock::new(|| {
    insert_tasks(
        "ON CONFLICT (coalesce(owner, '00000000-0000-0000-0000-000000000000'), idempotency_key)
            WHERE idempotency_key IS NOT NULL DO NOTHING",
    )
});

/// Returns the columns that the program writes when it adds a task. The others have their defaults, or the
/// statement computes them: an array of each would cost it as much as any other.
fn initial() -> impl Iterator<Item = &'static Column<Record>> {
    Record::COLUMNS.iter().filter(|column| column.written != Written::Later)
}

/// Returns the statement that adds tasks to the table and the event log, and to the queue or the leases: their
/// first transition of the life cycle, and the command `Claim` for those that are added as claimed. The history
/// follows the columns.
fn insert_tasks(on_conflict: &str) -> String {
    const QUEUED: &str = enter_queue!("added WHERE status = 'pending'");
    let (columns, values) = (names(initial()), unnested(initial()));
    let (arrays, history) = (arrays(1, initial()), initial().count() + 1);
    format!(
        "WITH added AS (
            INSERT INTO tasks ({columns}, status, attempt, last_sequence, updated_at, active_key, history)
            SELECT {values}, CASE WHEN worker IS NULL THEN 'pending' ELSE 'processing' END::task_status,
                (worker IS NOT NULL)::integer, 1 + (worker IS NOT NULL)::integer,
                coalesce(started_at, created_at), unique_key, history
            FROM unnest({arrays}, ${history}::text[]) AS new ({columns}, history)
            {on_conflict} RETURNING id, owner, agent, priority, run_at, status, lease_until
        ), queued AS ({QUEUED}), leased AS (
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
            THEN (SELECT leased.id FROM leased WHERE leased.until = added.lease_until) END AS lease
        FROM added"
    )
}

/// Adds new tasks, each with its first event, or with two events if it is added as claimed. Returns the ids
/// of those whose idempotency key was free, each with its lease row.
pub(super) async fn insert(
    connection: &mut PgConnection,
    added: &[&Record],
) -> StoreResult<Vec<(TaskId, Option<i64>)>> {
    let keyed = added.iter().any(|record| record.task.idempotency_key.is_some());
    let mut histories = Vec::with_capacity(added.len());
    for Record { task, .. } in added {
        histories.push(match task.started_at {
            Some(at) => format!("[2{}", entry(at, task.status, task.attempt, None)?),
            None => String::new(),
        });
    }
    let mut arguments = PgArguments::default();
    bind_arrays(&mut arguments, initial(), added)?;
    arguments.add(histories)?;
    // An insert with a conflict clause writes a speculative row first, which costs a second write for each
    // task.
    let sql = if keyed { &*INSERT_UNKNOWN } else { &*INSERT };
    let rows = sqlx::query_with(sql.as_str(), arguments).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((TaskId(row.try_get("id")?), row.try_get("lease")?))).collect()
}

/// Writes the columns of changed tasks (`$1` their ids), and adds them to the queue if they are due there. The
/// history follows the columns.
static UPDATE: LazyLock<String> = LazyLock::new(|| {
    const QUEUED: &str = enter_queue!("changed WHERE status = 'pending' AND waiting_for = 0");
    let assignments =
        join(Record::changes(), |_, column| format!("{0} = new.{0}{1}", column.name, cast(column)));
    let (columns, arrays) = (names(Record::changes()), arrays(2, Record::changes()));
    let history = Record::changes().count() + 2;
    format!(
        "WITH changed AS (
            UPDATE tasks SET {assignments}, history = tasks.history || new.history,
                active_key = CASE WHEN new.finished_at IS NULL THEN tasks.unique_key END,
                ended_in = CASE WHEN new.finished_at IS NOT NULL THEN coalesce(tasks.ended_in, pg_current_xact_id()) END
            FROM unnest($1::uuid[], {arrays}, ${history}::text[]) AS new (id, {columns}, history)
            WHERE tasks.id = new.id
            RETURNING tasks.owner, tasks.agent, tasks.priority, tasks.run_at, tasks.id, tasks.status,
                tasks.waiting_for
        ) {QUEUED}"
    )
});

/// Writes the columns that change during the life of a task, the statuses that it has entered, and its row in
/// the queue. The caller must have locked all rows.
pub(super) async fn update(
    connection: &mut PgConnection,
    changed: &[&Record],
    events: &[(Option<UserId>, TaskEvent)],
) -> StoreResult<()> {
    const LEAVE_QUEUE: &str = concat!("DELETE FROM queue USING tasks WHERE ", in_queue!("$1"));
    let mut histories: HashMap<TaskId, String> = HashMap::new();
    for (_, event) in events {
        // Only status events are in the history; events that agents report go to `task_events` when they are
        // appended.
        let EventKind::Status { status, attempt, error } = &event.kind else { continue };
        let history = histories.entry(event.task_id).or_default();
        let entry = entry(event.at, *status, *attempt, error.as_ref())?;
        let _ = write!(history, "[{}{entry}", event.sequence);
    }
    let ids: Vec<_> = changed.iter().map(|record| record.task.id.0).collect();
    let history = |record: &&Record| histories.get(&record.task.id).map_or("", String::as_str);
    sqlx::query(LEAVE_QUEUE).bind(&ids).execute(&mut *connection).await?;
    let mut arguments = PgArguments::default();
    arguments.add(ids)?;
    bind_arrays(&mut arguments, Record::changes(), changed)?;
    arguments.add(changed.iter().map(history).collect::<Vec<_>>())?;
    sqlx::query_with(UPDATE.as_str(), arguments).execute(connection).await?;
    Ok(())
}
