//! [`ScheduleStore`] in a PostgreSQL database.

use async_trait::async_trait;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{
    MAX_SCHEDULES, NewSchedule, Schedule, ScheduleId, SchedulePage, ScheduleQuery, TaskId, UserId, quota,
};
use sutazai_core::ports::ScheduleStore;
use sutazai_core::{Error, Result};
use uuid::Uuid;

use super::database::Database;
use super::error::StoreResult;
use super::page::fill;
use super::quota::{Counted, lock};
use super::record::json_column_bytes;
use super::text::{from_json, given, json, kept};
use super::time::Times;
use crate::queued_times::{queue_of, queue_text};
use crate::tables::SCHEDULES;

/// Schedules in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresScheduleStore {
    database: Database,
}

macro_rules! columns {
    () => {
        "id, owner, name, agent, payload, priority, cron, time_zone, missed_runs, overlap_policy, enabled, \
         next_run_at, last_run_at, last_task, queued, created_at, updated_at"
    };
}

impl PostgresScheduleStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl ScheduleStore for PostgresScheduleStore {
    async fn create(&self, schedule: &Schedule) -> Result<()> {
        self.database
            .write(SCHEDULES.insert(), schedule.clone(), |tx, new| Box::pin(create(tx.connection, new)))
            .await
    }

    async fn get(&self, id: ScheduleId) -> Result<Option<Schedule>> {
        self.database.run(SCHEDULES.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(&self, query: &ScheduleQuery) -> Result<SchedulePage> {
        self.database
            .run(SCHEDULES.select(), query.clone(), |connection, query| Box::pin(list(connection, query)))
            .await
    }

    async fn replace(&self, schedule: &Schedule) -> Result<()> {
        self.database
            .run(SCHEDULES.update(), schedule.clone(), |connection, changed| {
                Box::pin(replace(connection, changed))
            })
            .await
    }

    async fn delete(&self, id: ScheduleId) -> Result<()> {
        self.database.run(SCHEDULES.delete(), id, |connection, id| Box::pin(delete(connection, *id))).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.database
            .run(SCHEDULES.delete(), owner, |connection, owner| Box::pin(delete_all(connection, *owner)))
            .await
    }

    async fn upcoming(&self, limit: u32) -> Result<Vec<Schedule>> {
        self.database
            .run(SCHEDULES.select(), limit, |connection, limit| Box::pin(upcoming(connection, *limit)))
            .await
    }

    async fn waiting(&self, after: Option<ScheduleId>, limit: u32) -> Result<Vec<Schedule>> {
        let wanted = (after, i64::from(limit));
        self.database
            .run(SCHEDULES.select(), wanted, |connection, wanted| Box::pin(waiting(connection, *wanted)))
            .await
    }

    async fn advance(&self, seen: &Schedule, fired: &Schedule) -> Result<bool> {
        let firing = (seen.clone(), fired.clone());
        self.database
            .run(SCHEDULES.update(), firing, |connection, firing| Box::pin(advance(connection, firing)))
            .await
    }
}

async fn create(connection: &mut PgConnection, schedule: &Schedule) -> StoreResult<()> {
    const COUNT: &str = "SELECT count(*) FROM schedules WHERE owner = $1";
    const INSERT: &str = concat!(
        "INSERT INTO schedules (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)"
    );
    if let Some(owner) = schedule.owner {
        lock(connection, Counted::Schedules, &[owner]).await?;
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut *connection).await?;
        if count.try_get::<i64, _>(0)? >= i64::from(MAX_SCHEDULES) {
            Err(quota::too_many("schedules", MAX_SCHEDULES))?;
        }
    }
    let plan = &schedule.plan;
    sqlx::query(INSERT)
        .bind(schedule.id.0)
        .bind(schedule.owner.map(|owner| owner.0))
        .bind(kept(&plan.name))
        .bind(&plan.agent)
        .bind(json(&plan.payload)?)
        .bind(i16::from(plan.priority))
        .bind(&plan.cron)
        .bind(&plan.time_zone)
        .bind(plan.missed_runs.as_str())
        .bind(plan.overlap_policy.as_str())
        .bind(plan.enabled)
        .bind(schedule.next_run_at)
        .bind(schedule.last_run_at)
        .bind(schedule.last_task.map(|task| task.0))
        .bind(queue_text(&schedule.queued))
        .bind(schedule.created_at)
        .bind(schedule.updated_at)
        .execute(connection)
        .await?;
    Ok(())
}

async fn get(connection: &mut PgConnection, id: ScheduleId) -> StoreResult<Option<Schedule>> {
    const BY_ID: &str = concat!("SELECT ", columns!(), " FROM schedules WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(connection: &mut PgConnection, query: &ScheduleQuery) -> StoreResult<SchedulePage> {
    const ALL: &str =
        concat!("SELECT ", columns!(), " FROM schedules WHERE id < $1 ORDER BY id DESC LIMIT $2");
    const OF_OWNER: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM schedules WHERE id < $1 AND owner = $3 ORDER BY id DESC LIMIT $2"
    );
    let mut statement = sqlx::query(if query.owner.is_some() { OF_OWNER } else { ALL })
        .bind(query.before.map_or(Uuid::max(), |before| before.0))
        .bind(i64::from(query.limit) + 1);
    if let Some(owner) = query.owner {
        statement = statement.bind(owner.0);
    }
    let bytes = |row: &PgRow| json_column_bytes(row, "payload");
    let read = |row: &PgRow| Ok((row.try_get(0).ok().map(ScheduleId), readable(row)));
    let (rows, more) = fill(statement.fetch(connection), query.limit as usize, bytes, read).await?;
    Ok(SchedulePage::ending(rows, more))
}

async fn replace(connection: &mut PgConnection, schedule: &Schedule) -> StoreResult<()> {
    const UPDATE: &str = "\
        UPDATE schedules SET name = $2, agent = $3, payload = $4::jsonb, priority = $5, cron = $6, time_zone = $7,
            missed_runs = $8, overlap_policy = $9, enabled = $10, next_run_at = $11, queued = $12, updated_at = $13
        WHERE id = $1";
    let plan = &schedule.plan;
    let done = sqlx::query(UPDATE)
        .bind(schedule.id.0)
        .bind(kept(&plan.name))
        .bind(&plan.agent)
        .bind(json(&plan.payload)?)
        .bind(i16::from(plan.priority))
        .bind(&plan.cron)
        .bind(&plan.time_zone)
        .bind(plan.missed_runs.as_str())
        .bind(plan.overlap_policy.as_str())
        .bind(plan.enabled)
        .bind(schedule.next_run_at)
        .bind(queue_text(&schedule.queued))
        .bind(schedule.updated_at)
        .execute(connection)
        .await?;
    found(done.rows_affected(), schedule.id)
}

async fn delete_all(connection: &mut PgConnection, owner: UserId) -> StoreResult<u64> {
    let delete = sqlx::query("DELETE FROM schedules WHERE owner = $1").bind(owner.0);
    Ok(delete.execute(connection).await?.rows_affected())
}

async fn delete(connection: &mut PgConnection, id: ScheduleId) -> StoreResult<()> {
    let delete = sqlx::query("DELETE FROM schedules WHERE id = $1").bind(id.0);
    found(delete.execute(connection).await?.rows_affected(), id)
}

async fn upcoming(connection: &mut PgConnection, limit: u32) -> StoreResult<Vec<Schedule>> {
    const NEXT: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM schedules WHERE next_run_at IS NOT NULL ORDER BY next_run_at, id LIMIT $1 OFFSET $2"
    );
    let mut upcoming: Vec<Schedule> = Vec::new();
    let mut passed = 0;
    loop {
        let rows = sqlx::query(NEXT).bind(i64::from(limit)).bind(passed).fetch_all(&mut *connection).await?;
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
fn readable(row: &PgRow) -> Option<Schedule> {
    decode(row).inspect_err(|_| tracing::warn!("schedule unreadable; it is left out")).ok()
}

async fn advance(connection: &mut PgConnection, (seen, fired): &(Schedule, Schedule)) -> StoreResult<bool> {
    const ADVANCE: &str = "\
        UPDATE schedules SET next_run_at = $4, last_run_at = $5, last_task = $6, queued = $7
        WHERE id = $1 AND next_run_at IS NOT DISTINCT FROM $2 AND queued = $3";
    let advance = sqlx::query(ADVANCE)
        .bind(seen.id.0)
        .bind(seen.next_run_at)
        .bind(queue_text(&seen.queued))
        .bind(fired.next_run_at)
        .bind(fired.last_run_at)
        .bind(fired.last_task.map(|task| task.0))
        .bind(queue_text(&fired.queued));
    Ok(advance.execute(connection).await?.rows_affected() > 0)
}

async fn waiting(
    connection: &mut PgConnection,
    (mut after, limit): (Option<ScheduleId>, i64),
) -> StoreResult<Vec<Schedule>> {
    const WAITING: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM schedules WHERE queued <> '[]' AND id > $1 ORDER BY id LIMIT $2"
    );
    loop {
        let wanted = sqlx::query(WAITING).bind(after.map_or(Uuid::nil(), |after| after.0)).bind(limit);
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

fn decode(row: &PgRow) -> StoreResult<Schedule> {
    Ok(Schedule {
        id: ScheduleId(row.try_get(0)?),
        owner: row.try_get::<Option<_>, _>(1)?.map(UserId),
        plan: NewSchedule {
            name: given(row.try_get(2)?),
            agent: row.try_get(3)?,
            payload: from_json(row.try_get::<Json<&RawValue>, _>(4)?.get())?,
            priority: row.try_get::<i16, _>(5)?.try_into().unwrap_or_default(),
            cron: row.try_get(6)?,
            time_zone: row.try_get(7)?,
            missed_runs: row.try_get::<&str, _>(8)?.parse()?,
            overlap_policy: row.try_get::<&str, _>(9)?.parse()?,
            enabled: row.try_get(10)?,
        },
        next_run_at: row.time_if_any(11)?,
        last_run_at: row.time_if_any(12)?,
        last_task: row.try_get::<Option<_>, _>(13)?.map(TaskId),
        queued: queue_of(row.try_get(14)?)?,
        created_at: row.time(15)?,
        updated_at: row.time(16)?,
    })
}
