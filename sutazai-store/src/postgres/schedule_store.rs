//! [`ScheduleStore`] in a PostgreSQL database.

use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{PgConnection, Row};
use sutazai_core::domain::{MAX_SCHEDULES, Page, PageRequest, Schedule, ScheduleId, UserId, quota};
use sutazai_core::ports::ScheduleStore;
use sutazai_core::{Error, Result};
use uuid::Uuid;

use super::columns::{assignments, bind, bound, insert};
use super::database::Database;
use super::error::StoreResult;
use super::keyset::Keyset;
use super::quota::{Counted, lock};
use crate::columns::{Entity, decode, schedule_columns};
use crate::queued_times::queue_text;
use crate::tables::SCHEDULES;

/// Schedules in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresScheduleStore {
    database: Database,
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

    async fn list(
        &self,
        owner: Option<UserId>,
        page: PageRequest<ScheduleId>,
    ) -> Result<Page<Schedule, ScheduleId>> {
        self.database
            .run(SCHEDULES.select(), (owner, page), |connection, asked| Box::pin(list(connection, *asked)))
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
    static INSERT: LazyLock<String> = LazyLock::new(|| insert::<Schedule>("schedules", &[]));
    if let Some(owner) = schedule.owner {
        lock(connection, Counted::Schedules, &[owner]).await?;
        let count = sqlx::query(COUNT).bind(owner.0).fetch_one(&mut *connection).await?;
        if count.try_get::<i64, _>(0)? >= i64::from(MAX_SCHEDULES) {
            Err(quota::too_many("schedules", MAX_SCHEDULES))?;
        }
    }
    sqlx::query_with(INSERT.as_str(), bound(schedule)?).execute(connection).await?;
    Ok(())
}

async fn get(connection: &mut PgConnection, id: ScheduleId) -> StoreResult<Option<Schedule>> {
    const BY_ID: &str = concat!("SELECT ", schedule_columns!(), " FROM schedules WHERE id = $1");
    let row = sqlx::query(BY_ID).bind(id.0).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

async fn list(
    connection: &mut PgConnection,
    (owner, page): (Option<UserId>, PageRequest<ScheduleId>),
) -> StoreResult<Page<Schedule, ScheduleId>> {
    const LIST: Keyset = Keyset { table: "schedules", columns: schedule_columns!(), content: &["payload"] };
    let mut sql = LIST.select();
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    // A schedule that cannot be read is left out.
    let read = |row: &PgRow| Ok((ScheduleId(row.try_get("id")?), readable(row)));
    let asked = (page.cursor.map(|id| id.0), page.limit.get());
    let found = LIST.page(connection, sql, asked, read, |(id, _)| Some(*id)).await?;
    Ok(found.filter_map(|(_, schedule)| schedule))
}

async fn replace(connection: &mut PgConnection, schedule: &Schedule) -> StoreResult<()> {
    static UPDATE: LazyLock<String> = LazyLock::new(|| {
        let (assignments, id) = (assignments(Schedule::changes()), Schedule::changes().count() + 1);
        format!("UPDATE schedules SET {assignments} WHERE id = ${id}")
    });
    let mut arguments = PgArguments::default();
    bind(&mut arguments, Schedule::changes(), schedule)?;
    let update = sqlx::query_with(UPDATE.as_str(), arguments).bind(schedule.id.0);
    found(update.execute(connection).await?.rows_affected(), schedule.id)
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
        schedule_columns!(),
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
        schedule_columns!(),
        " FROM schedules WHERE queued <> '[]' AND id > $1 ORDER BY id LIMIT $2"
    );
    loop {
        let wanted = sqlx::query(WAITING).bind(after.map_or(Uuid::nil(), |after| after.0)).bind(limit);
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
