//! Events of tasks and the event log.
//!
//! The statuses that a task has entered are in its own row, so that a change and its event are one write.
//! Events that its agent reports are in `task_events`. The table `event_log` holds the order of all events, with
//! one row for the events that one statement wrote of one owner's tasks.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::Error;
use sutazai_core::adapter::PageBounds;
use sutazai_core::domain::task::lifecycle::claim_lost;
use sutazai_core::domain::{
    ClaimKey, EventKind, EventLogEntry, EventOffset, NewEvent, Page, TaskError, TaskEvent, TaskId,
    TaskStatus, UserId,
};
use uuid::Uuid;

use super::error::StoreResult;
use super::keys::keys;
use super::keyset::bytes;
use super::text::{from_json, json};
use super::time::Times;
use crate::columns::{decode, event_columns};

/// Bits of an event's place within its row of `event_log`, the low part of its number in the transaction; the high
/// part is the number of the row.
const PLACE_BITS: u32 = 24;

/// Reads the event log: `$1`, `$2`, `$3` transaction, number and place after which, `$4` how many. Rows come
/// in index order and the events of each in theirs, so nothing is sorted, however long the log is.
///
/// A transaction may commit after one that began later. Only rows of transactions that began before every
/// open one are read: no event can be inserted before them any more. The alternative, a sequence under a
/// lock, would serialize all writers.
macro_rules! event_log {
    ($which:literal) => {
        concat!(
            "SELECT told.transaction::text, told.number, event.place, told.owner, event.task, event.sequence
            FROM (
                SELECT transaction, number, owner, tasks, sequences FROM event_log
                WHERE (transaction, number) >= ($1::text::xid8, $2)
                    AND transaction < pg_snapshot_xmin(pg_current_snapshot())",
            $which,
            "   ORDER BY transaction, number
            ) AS told CROSS JOIN LATERAL unnest(told.tasks, told.sequences) WITH ORDINALITY
                AS event (task, sequence, place)
            WHERE (told.transaction, told.number, event.place) > ($1::text::xid8, $2, $3) LIMIT $4"
        )
    };
}

/// Event log of all owners.
pub(super) const EVENT_LOG: &str = event_log!("");
/// Event log of the owner `$5`.
pub(super) const EVENT_LOG_OF_OWNER: &str = event_log!(" AND owner = $5");

/// Formats a status that a task has entered as a line of its history, without the leading `[` and sequence
/// number.
pub(super) fn entry(
    at: DateTime<Utc>,
    status: TaskStatus,
    attempt: u32,
    error: Option<&TaskError>,
) -> StoreResult<String> {
    Ok(format!(",{},\"{status}\",{attempt},{}]\n", at.timestamp_micros(), json(&error)?))
}

/// Parses the history of a task into events. The first event is not in the history: it follows from
/// `created_at`.
fn statuses(task_id: TaskId, created_at: DateTime<Utc>, history: &str) -> StoreResult<Vec<TaskEvent>> {
    let event = |sequence, at, status, attempt, error| TaskEvent {
        task_id,
        sequence,
        at,
        kind: EventKind::Status { status, attempt, error },
    };
    let mut events = vec![event(1, created_at, TaskStatus::Pending, 0, None)];
    for line in history.lines() {
        let (sequence, at, status, attempt, error): (u64, i64, _, u32, Option<TaskError>) = from_json(line)?;
        let at = DateTime::from_timestamp_micros(at)
            .ok_or_else(|| Error::internal(format!("the history of task {task_id} has no time: {line}")))?;
        events.push(event(sequence, at, status, attempt, error));
    }
    Ok(events)
}

/// Adds status events to the event log.
pub(super) async fn tell(
    connection: &mut PgConnection,
    events: &[&(Option<UserId>, TaskEvent)],
) -> StoreResult<()> {
    const TELL: &str = "\
        INSERT INTO event_log (owner, tasks, sequences)
        SELECT owner, array_agg(task ORDER BY place), array_agg(sequence ORDER BY place)
        FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS new (owner, task, sequence, place)
        GROUP BY owner";
    sqlx::query(TELL)
        .bind(events.iter().map(|(owner, _)| owner.map(|owner| owner.0)).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, event)| event.task_id.0).collect::<Vec<_>>())
        .bind(events.iter().map(|(_, event)| event.sequence.cast_signed()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

/// Appends events that an agent reports under its claim.
///
/// # Errors
/// `Conflict` for a claim that no longer holds its task.
pub(super) async fn append(
    connection: &mut PgConnection,
    (claim, events): &(ClaimKey, Vec<NewEvent>),
) -> StoreResult<()> {
    const APPEND: &str = "\
        WITH held AS (
            UPDATE tasks SET last_sequence = last_sequence + cardinality($4::timestamptz[])
            WHERE id = $1 AND attempt = $2 AND worker = $3 AND status = 'processing'
            RETURNING last_sequence - cardinality($4::timestamptz[]) AS before, owner
        ), reported AS (
            INSERT INTO task_events (task_id, sequence, at, kind)
            SELECT $1, before + place, at, kind::jsonb
            FROM held CROSS JOIN unnest($4::timestamptz[], $5::text[]) WITH ORDINALITY AS new (at, kind, place)
        ), told AS (
            INSERT INTO event_log (owner, tasks, sequences)
            SELECT owner, array_agg($1), array_agg(before + place ORDER BY place)
            FROM held CROSS JOIN generate_series(1, cardinality($4::timestamptz[])) AS place GROUP BY owner
        )
        SELECT before FROM held";
    let kinds = events.iter().map(|event| json(&event.kind)).collect::<StoreResult<Vec<_>>>()?;
    let held = sqlx::query(APPEND)
        .bind(claim.task.0)
        .bind(claim.attempt.cast_signed())
        .bind(claim.worker.0)
        .bind(events.iter().map(|event| event.at).collect::<Vec<_>>())
        .bind(kinds)
        .fetch_optional(connection)
        .await?;
    match held {
        Some(_) => Ok(()),
        None => Err(claim_lost(claim))?,
    }
}

/// Returns one page of at most `limit` events of a task after this sequence. History and reported events are read
/// in one statement: an event that is committed between two reads would be missing in the middle.
pub(super) async fn events_after(
    connection: &mut PgConnection,
    (id, after, limit): (TaskId, u64, u32),
) -> StoreResult<Vec<TaskEvent>> {
    const EVENTS: &str = concat!(
        "SELECT reported.*, created_at, history FROM tasks LEFT JOIN LATERAL (
            SELECT ",
        event_columns!(),
        "   FROM task_events WHERE task_id = tasks.id AND sequence > $2 ORDER BY sequence LIMIT $3
        ) AS reported ON true WHERE tasks.id = $1"
    );
    let mut rows = sqlx::query(EVENTS)
        .bind(id.0)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch(connection);
    let mut events = Vec::new();
    let (mut is_first, mut unread) = (true, u64::MAX);
    let mut bounds = PageBounds::new(limit as usize);
    // To its end, so that the connection has no rows left when it is returned.
    while let Some(row) = rows.try_next().await? {
        if std::mem::take(&mut is_first) {
            events = statuses(id, row.time("created_at")?, row.try_get("history")?)?;
        }
        let Some(sequence) = row.try_get::<Option<i64>, _>("sequence")? else { continue };
        if bounds.admits(bytes(&row, &["kind"])) {
            events.push(decode(&row)?);
        } else {
            unread = unread.min(sequence.unsigned_abs());
        }
    }
    events.retain(|event| event.sequence > after && event.sequence < unread);
    events.sort_unstable_by_key(|event| event.sequence);
    let mut bounds = PageBounds::new(limit as usize);
    let page = events.iter().take_while(|event| bounds.admits(event.kind.text_bytes())).count();
    events.truncate(page);
    Ok(events)
}

/// Position in the event log, and the event at it.
struct Place {
    position: EventOffset,
    owner: Option<UserId>,
    event: (TaskId, u64),
}

/// Returns one page of at most `limit` entries of the event log after this position. Events of deleted tasks are
/// skipped.
pub(super) async fn event_log_after(
    connection: &mut PgConnection,
    (owner, mut after, limit): (Option<UserId>, EventOffset, u32),
) -> StoreResult<Page<EventLogEntry, EventOffset>> {
    let limit = limit as usize;
    let (mut items, mut bounds) = (Vec::new(), PageBounds::new(limit));
    while items.len() < limit {
        let wanted = limit - items.len();
        let places = places(connection, owner, after, wanted).await?;
        let no_more = places.len() < wanted;
        let Found { mut events, unread } = look_up(connection, &places).await?;
        for Place { position, owner, event } in places {
            if unread == Some(event) {
                return Ok(Page { items, next: Some(after) });
            }
            let Some(event) = events.remove(&event) else {
                after = position;
                continue;
            };
            if !bounds.admits(event.kind.text_bytes()) {
                return Ok(Page { items, next: Some(after) });
            }
            after = position;
            items.push(EventLogEntry { position, owner, event });
        }
        if no_more {
            return Ok(Page { items, next: None });
        }
    }
    Ok(Page { items, next: Some(after) })
}

async fn places(
    connection: &mut PgConnection,
    owner: Option<UserId>,
    EventOffset(after): EventOffset,
    limit: usize,
) -> StoreResult<Vec<Place>> {
    let number = after & u128::from(u64::MAX);
    let query = sqlx::query(if owner.is_some() { EVENT_LOG_OF_OWNER } else { EVENT_LOG });
    let mut query = query
        .bind((after >> 64).to_string())
        .bind(i64::try_from(number >> PLACE_BITS).unwrap_or(i64::MAX))
        .bind((number & ((1 << PLACE_BITS) - 1)) as i64)
        .bind(limit as i64);
    if let Some(owner) = owner {
        query = query.bind(owner.0);
    }
    let place = |row: &PgRow| -> StoreResult<Place> {
        Ok(Place {
            position: position(row.try_get("transaction")?, row.try_get("number")?, row.try_get("place")?),
            owner: row.try_get::<Option<Uuid>, _>("owner")?.map(UserId),
            event: (TaskId(row.try_get("task")?), row.try_get::<i64, _>("sequence")?.unsigned_abs()),
        })
    };
    query.fetch_all(connection).await?.iter().map(place).collect()
}

/// Builds the position of an event from the transaction and number of its row and its place there.
pub(super) fn position(transaction: &str, number: i64, place: i64) -> EventOffset {
    let number = number.unsigned_abs() << PLACE_BITS | place.unsigned_abs();
    EventOffset(transaction.parse::<u128>().unwrap_or_default() << 64 | u128::from(number))
}

/// Events of entries of the event log.
#[derive(Default)]
struct Found {
    events: HashMap<(TaskId, u64), TaskEvent>,
    /// First event that was left to the next page, because those before it fill a page.
    unread: Option<(TaskId, u64)>,
}

/// Reads the events of these entries, as many as a page holds, except those of deleted tasks.
async fn look_up(connection: &mut PgConnection, places: &[Place]) -> StoreResult<Found> {
    const HISTORIES: &str = "SELECT id, created_at, history FROM tasks WHERE id = ANY($1)";
    const REPORTS: &str = concat!(
        "SELECT ",
        event_columns!(),
        " FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS wanted (task, wanted_sequence, place)
        JOIN task_events ON task_id = task AND sequence = wanted_sequence ORDER BY place"
    );
    if places.is_empty() {
        return Ok(Found::default());
    }
    let mut found = HashMap::with_capacity(places.len());
    let tasks: Vec<TaskId> = places.iter().map(|place| place.event.0).collect();
    for row in sqlx::query(HISTORIES).bind(keys(&tasks)).fetch_all(&mut *connection).await? {
        let id = TaskId(row.try_get("id")?);
        // An unreadable task must not block the events of others, so its events are skipped.
        match statuses(id, row.time("created_at")?, row.try_get("history")?) {
            Ok(events) => found.extend(events.into_iter().map(|event| ((id, event.sequence), event))),
            Err(_) => tracing::warn!(task = %id, "task history unreadable; events skipped"),
        }
    }
    let missing: Vec<_> =
        places.iter().map(|place| place.event).filter(|event| !found.contains_key(event)).collect();
    if missing.is_empty() {
        return Ok(Found { events: found, unread: None });
    }
    let mut rows = sqlx::query(REPORTS)
        .bind(missing.iter().map(|(task, _)| task.0).collect::<Vec<_>>())
        .bind(missing.iter().map(|(_, sequence)| sequence.cast_signed()).collect::<Vec<_>>())
        .fetch(connection);
    let (mut bounds, mut unread) = (PageBounds::new(places.len()), None);
    // To its end, so that the connection has no rows left when it is returned.
    while let Some(row) = rows.try_next().await? {
        let (id, sequence) = (TaskId(row.try_get("task_id")?), row.try_get::<i64, _>("sequence")?);
        if !bounds.admits(bytes(&row, &["kind"])) {
            unread.get_or_insert((id, sequence.unsigned_abs()));
            continue;
        }
        match decode::<TaskEvent, _>(&row) {
            Ok(event) => drop(found.insert((id, event.sequence), event)),
            Err(_) => tracing::warn!(task = %id, sequence, "event unreadable; event skipped"),
        }
    }
    Ok(Found { events: found, unread })
}

/// Returns the end of the event log: every later event will have a later position.
pub(super) async fn event_log_end(connection: &mut PgConnection) -> StoreResult<EventOffset> {
    const END: &str = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text";
    Ok(position(sqlx::query(END).fetch_one(connection).await?.try_get(0)?, 0, 0))
}
