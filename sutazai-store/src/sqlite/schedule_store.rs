//! [`ScheduleStore`] in an SQLite database.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, SqliteConnection};
use sutazai_core::domain::{MAX_SCHEDULES, Page, PageRequest, Schedule, ScheduleId, UserId, quota};
use sutazai_core::ports::ScheduleStore;
use sutazai_core::{Error, Result};

use super::columns::{assignments, bind, bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::keyset::{Keyset, Order};
use super::statement::nanos;
use super::writer::Transaction;
use crate::columns::{Entity, decode, schedule_columns};
use crate::queued_times::queue_text;
use crate::tables::SCHEDULES;

/// Schedules in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteScheduleStore {
    database: Database,
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

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ScheduleId>,
    ) -> Result<Page<Schedule, ScheduleId>> {
        self.database
            .read(SCHEDULES.select(), (owner, page), |connection, asked| Box::pin(list(connection, *asked)))
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
    const BY_ID: &str = concat!("SELECT ", schedule_columns!(), " FROM schedules WHERE id = ?");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(
    connection: &mut SqliteConnection,
    (owner, page): (Option<UserId>, PageRequest<ScheduleId>),
) -> StoreResult<Page<Schedule, ScheduleId>> {
    const LIST: Keyset = Keyset {
        table: "schedules",
        columns: schedule_columns!(),
        key: "id",
        order: Order::Descending,
        content: &["payload"],
        has_large_rows: true,
    };
    let mut sql = LIST.select();
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    // A schedule that cannot be read is left out, and so is an id.
    let read = |row: &SqliteRow| Ok((row.try_get("id").ok().map(ScheduleId), readable(row)));
    let asked = (page.cursor.map(|id| id.0), page.limit.get());
    let found = LIST.page(connection, sql, asked, read, |(id, _)| *id).await?;
    Ok(found.filter_map(|(_, schedule)| schedule))
}

async fn upcoming(connection: &mut SqliteConnection, limit: u32) -> StoreResult<Vec<Schedule>> {
    const NEXT: &str = concat!(
        "SELECT ",
        schedule_columns!(),
        " FROM schedules WHERE next_run_at IS NOT NULL ORDER BY next_run_at, id LIMIT ? + 0 OFFSET ?"
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
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Schedule>("schedules", &[]));
    if let Some(owner) = schedule.owner {
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut tx.connection).await?;
        if count.try_get::<u32, _>(0)? >= MAX_SCHEDULES {
            Err(quota::too_many("schedules", MAX_SCHEDULES))?;
        }
    }
    sqlx::query_with(INSERT.as_str(), bound(&schedule)?).execute(&mut tx.connection).await?;
    Ok(())
}

async fn replace(tx: &mut Transaction, schedule: Schedule) -> StoreResult<()> {
    static UPDATE: LazyLock<String> =
        LazyLock::new(|| format!("UPDATE schedules SET {} WHERE id = ?", assignments(Schedule::changes())));
    let mut arguments = SqliteArguments::default();
    bind(&mut arguments, Schedule::changes(), &schedule)?;
    let update = sqlx::query_with(UPDATE.as_str(), arguments).bind(schedule.id.0);
    found(update.execute(&mut tx.connection).await?.rows_affected(), schedule.id)
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
        schedule_columns!(),
        " FROM schedules WHERE queued <> '[]' AND (?1 IS NULL OR id > ?1) ORDER BY id LIMIT ?2 + 0"
    );
    loop {
        let wanted = sqlx::query(WAITING).bind(after.map(|after| after.0)).bind(limit);
        let rows = wanted.fetch_all(&mut *connection).await?;
        let waiting: Vec<Schedule> = rows.iter().filter_map(readable).collect();
        // A page without any readable row is not the end.
        match rows.last() {
            Some(last) if waiting.is_empty() => after = Some(ScheduleId(last.try_get("id")?)),
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
