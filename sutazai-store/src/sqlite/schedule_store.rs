//! [`ScheduleStore`] in an SQLite database.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use sutazai_core::domain::page::fill_page;
use sutazai_core::domain::{
    MAX_PAGE_BYTES, MAX_SCHEDULES, NewSchedule, Schedule, ScheduleId, SchedulePage, ScheduleQuery, TaskId,
    UserId, quota,
};
use sutazai_core::ports::ScheduleStore;
use sutazai_core::{Error, Result};

use super::database::Database;
use super::error::{StoreError, StoreResult};
use super::statement::{instant, nanos, within_bytes};
use super::writer::Transaction;
use crate::queued_times::{queue_of, queue_text};
use crate::tables::SCHEDULES;

/// Schedules in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteScheduleStore {
    database: Database,
}

macro_rules! columns {
    () => {
        "id, owner, name, agent, payload, priority, cron, time_zone, missed_runs, overlap_policy, enabled, \
         next_run_at, last_run_at, last_task, queued, created_at, updated_at"
    };
}

impl SqliteScheduleStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ScheduleStore for SqliteScheduleStore {
    async fn create(&self, schedule: &Schedule) -> Result<()> {
        let schedule = schedule.clone();
        self.database.writer().run(SCHEDULES.insert(), |tx| Box::pin(create(tx, schedule))).await
    }

    async fn get(&self, id: ScheduleId) -> Result<Option<Schedule>> {
        self.database.read(SCHEDULES.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(&self, query: &ScheduleQuery) -> Result<SchedulePage> {
        self.database
            .read(SCHEDULES.select(), query.clone(), |connection, query| Box::pin(list(connection, query)))
            .await
    }

    async fn replace(&self, schedule: &Schedule) -> Result<()> {
        let schedule = schedule.clone();
        self.database.writer().run(SCHEDULES.update(), |tx| Box::pin(replace(tx, schedule))).await
    }

    async fn delete(&self, id: ScheduleId) -> Result<()> {
        self.database.writer().run(SCHEDULES.delete(), move |tx| Box::pin(delete(tx, id))).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database.writer().run(SCHEDULES.delete(), move |tx| Box::pin(delete_all(tx, owner))).await
    }

    async fn upcoming(&self, limit: u32) -> Result<Vec<Schedule>> {
        self.database
            .read(SCHEDULES.select(), limit, |connection, limit| Box::pin(upcoming(connection, *limit)))
            .await
    }

    async fn waiting(&self, after: Option<ScheduleId>, limit: u32) -> Result<Vec<Schedule>> {
        self.database
            .read(SCHEDULES.select(), after, move |connection, after| {
                Box::pin(waiting(connection, *after, limit))
            })
            .await
    }

    async fn advance(&self, seen: &Schedule, fired: &Schedule) -> Result<bool> {
        let (seen, fired) = (seen.clone(), fired.clone());
        self.database.writer().run(SCHEDULES.update(), move |tx| Box::pin(advance(tx, seen, fired))).await
    }
}

async fn delete_all(tx: &mut Transaction, owner: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM schedules WHERE owner = ?").bind(owner.0);
    Ok(delete.execute(&mut tx.connection).await?.rows_affected())
}

async fn get(connection: &mut SqliteConnection, id: ScheduleId) -> StoreResult<Option<Schedule>> {
    const BY_ID: &str = concat!("SELECT ", columns!(), " FROM schedules WHERE id = ?");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(connection: &mut SqliteConnection, query: &ScheduleQuery) -> StoreResult<SchedulePage> {
    /// The rows of one page and the one after it: `?2` before which, `?3` how many, `?4` how many bytes.
    macro_rules! page {
        ($which:literal) => {
            concat!(
                "SELECT ",
                columns!(),
                " FROM schedules WHERE id IN (",
                within_bytes!(
                    "id",
                    "id DESC",
                    "?4",
                    "SELECT id, octet_length(payload) AS bytes FROM schedules WHERE ",
                    $which,
                    " (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
                ),
                ") ORDER BY id DESC"
            )
        };
    }
    const ALL: &str = page!("");
    const OF_OWNER: &str = page!("owner = ?1 AND");
    let rows = sqlx::query(if query.owner.is_some() { OF_OWNER } else { ALL })
        .bind(query.owner.map(|owner| owner.0))
        .bind(query.before.map(|before| before.0))
        .bind(i64::from(query.limit) + 1)
        .bind(MAX_PAGE_BYTES as i64)
        .fetch_all(&mut *connection)
        .await?;
    let sized = rows.iter().map(|row| {
        let bytes = row.try_get::<&[u8], _>("payload").map_or(0, <[u8]>::len);
        let id = row.try_get(0).ok().map(ScheduleId);
        (bytes, move || Ok::<_, StoreError>((id, readable(row))))
    });
    let (schedules, more) = fill_page(sized, query.limit as usize)?;
    Ok(SchedulePage::ending(schedules, more))
}

async fn upcoming(connection: &mut SqliteConnection, limit: u32) -> StoreResult<Vec<Schedule>> {
    const NEXT: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM schedules WHERE next_run_at IS NOT NULL ORDER BY next_run_at, id LIMIT ? OFFSET ?"
    );
    let mut upcoming: Vec<Schedule> = Vec::new();
    let mut passed = 0;
    loop {
        let rows = sqlx::query(NEXT).bind(limit).bind(passed).fetch_all(&mut *connection).await?;
        let before = upcoming.len();
        upcoming.extend(rows.iter().filter_map(readable));
        passed += rows.len() as i64;
        // An unreadable schedule never fires and must not block the others, so further rows take its place.
        if upcoming.len() - before == rows.len() || rows.is_empty() || upcoming.len() >= limit as usize {
            upcoming.truncate(limit as usize);
            return Ok(upcoming);
        }
    }
}

/// Returns the schedule of this row, unless it is unreadable.
fn readable(row: &SqliteRow) -> Option<Schedule> {
    decode(row).inspect_err(|_| tracing::warn!("schedule unreadable; it is left out")).ok()
}

async fn create(tx: &mut Transaction, schedule: Schedule) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM schedules WHERE owner = ?";
    const INSERT: &str = concat!(
        "INSERT INTO schedules (",
        columns!(),
        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    if let Some(owner) = schedule.owner {
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut tx.connection).await?;
        if count.try_get::<u32, _>(0)? >= MAX_SCHEDULES {
            Err(quota::too_many("schedules", MAX_SCHEDULES))?;
        }
    }
    let plan = &schedule.plan;
    sqlx::query(INSERT)
        .bind(schedule.id.0)
        .bind(schedule.owner.map(|owner| owner.0))
        .bind(&plan.name)
        .bind(&plan.agent)
        .bind(serde_json::to_string(&plan.payload)?)
        .bind(plan.priority)
        .bind(&plan.cron)
        .bind(&plan.time_zone)
        .bind(plan.missed_runs.as_str())
        .bind(plan.overlap_policy.as_str())
        .bind(plan.enabled)
        .bind(schedule.next_run_at.map(nanos))
        .bind(schedule.last_run_at.map(nanos))
        .bind(schedule.last_task.map(|task| task.0))
        .bind(queue_text(&schedule.queued))
        .bind(nanos(schedule.created_at))
        .bind(nanos(schedule.updated_at))
        .execute(&mut tx.connection)
        .await?;
    Ok(())
}

async fn replace(tx: &mut Transaction, schedule: Schedule) -> StoreResult<()> {
    const UPDATE: &str = "UPDATE schedules SET name = ?, agent = ?, payload = ?, priority = ?, cron = ?, time_zone = ?, \
                          missed_runs = ?, overlap_policy = ?, enabled = ?, next_run_at = ?, queued = ?, updated_at = ? \
                          WHERE id = ?";
    let plan = &schedule.plan;
    let done = sqlx::query(UPDATE)
        .bind(&plan.name)
        .bind(&plan.agent)
        .bind(serde_json::to_string(&plan.payload)?)
        .bind(plan.priority)
        .bind(&plan.cron)
        .bind(&plan.time_zone)
        .bind(plan.missed_runs.as_str())
        .bind(plan.overlap_policy.as_str())
        .bind(plan.enabled)
        .bind(schedule.next_run_at.map(nanos))
        .bind(queue_text(&schedule.queued))
        .bind(nanos(schedule.updated_at))
        .bind(schedule.id.0)
        .execute(&mut tx.connection)
        .await?;
    found(done.rows_affected(), schedule.id)
}

async fn delete(tx: &mut Transaction, id: ScheduleId) -> StoreResult<()> {
    let delete = sqlx::query("DELETE FROM schedules WHERE id = ?").bind(id.0);
    found(delete.execute(&mut tx.connection).await?.rows_affected(), id)
}

async fn advance(tx: &mut Transaction, seen: Schedule, fired: Schedule) -> StoreResult<bool> {
    const ADVANCE: &str = "UPDATE schedules SET next_run_at = ?, last_run_at = ?, last_task = ?, queued = ? \
                           WHERE id = ? AND next_run_at IS ? AND queued = ?";
    let advance = sqlx::query(ADVANCE)
        .bind(fired.next_run_at.map(nanos))
        .bind(fired.last_run_at.map(nanos))
        .bind(fired.last_task.map(|task| task.0))
        .bind(queue_text(&fired.queued))
        .bind(seen.id.0)
        .bind(seen.next_run_at.map(nanos))
        .bind(queue_text(&seen.queued));
    Ok(advance.execute(&mut tx.connection).await?.rows_affected() > 0)
}

async fn waiting(
    connection: &mut SqliteConnection,
    mut after: Option<ScheduleId>,
    limit: u32,
) -> StoreResult<Vec<Schedule>> {
    const WAITING: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM schedules WHERE queued <> '[]' AND (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2"
    );
    loop {
        let wanted = sqlx::query(WAITING).bind(after.map(|after| after.0)).bind(limit);
        let rows = wanted.fetch_all(&mut *connection).await?;
        let waiting: Vec<Schedule> = rows.iter().filter_map(readable).collect();
        // A page without any readable row is not the end.
        match rows.last() {
            Some(last) if waiting.is_empty() => after = Some(ScheduleId(last.try_get(0)?)),
            _ => return Ok(waiting),
        }
    }
}

fn found(rows: u64, id: ScheduleId) -> StoreResult<()> {
    if rows == 0 {
        Err(Error::not_found(format!("schedule {id}")))?;
    }
    Ok(())
}

fn decode(row: &SqliteRow) -> StoreResult<Schedule> {
    Ok(Schedule {
        id: ScheduleId(row.try_get(0)?),
        owner: row.try_get::<Option<_>, _>(1)?.map(UserId),
        plan: NewSchedule {
            name: row.try_get(2)?,
            agent: row.try_get(3)?,
            payload: serde_json::from_str(row.try_get(4)?)?,
            priority: row.try_get(5)?,
            cron: row.try_get(6)?,
            time_zone: row.try_get(7)?,
            missed_runs: row.try_get::<&str, _>(8)?.parse()?,
            overlap_policy: row.try_get::<&str, _>(9)?.parse()?,
            enabled: row.try_get(10)?,
        },
        next_run_at: row.try_get::<Option<i64>, _>(11)?.map(instant),
        last_run_at: row.try_get::<Option<i64>, _>(12)?.map(instant),
        last_task: row.try_get::<Option<_>, _>(13)?.map(TaskId),
        queued: queue_of(row.try_get(14)?)?,
        created_at: instant(row.try_get(15)?),
        updated_at: instant(row.try_get(16)?),
    })
}
