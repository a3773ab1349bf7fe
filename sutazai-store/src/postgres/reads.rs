//! Batched reads of tasks: one statement for all calls of the same moment, with the result that each call
//! would have got alone. An unreadable row is an error only for the calls that asked for it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use sutazai_core::adapter::PageBounds;
use sutazai_core::domain::{
    Backlog, MAX_AHEAD, Page, PageLimit, Task, TaskId, TaskQuery, TaskSummary, UserId,
};
use sutazai_core::{Error, Result};
use uuid::Uuid;

use super::claim::aging;
use super::database::Database;
use super::error::StoreResult;
use super::keys::keys;
use super::keyset::bytes;
use super::record::SUMMARY;
use super::request_batcher::shared;
use super::time::Times;
use super::transaction::Transaction;
use crate::columns::{SUMMARY_CONTENT, decode_summary, decode_task, task_columns};
use crate::fair_claiming::SchedulingKey;
use crate::tables::TASKS;

/// Tasks with these ids.
pub(super) const BY_IDS: &str = concat!("SELECT ", task_columns!(text), " FROM tasks WHERE id = ANY($1)");

/// Pages of summaries of owners (`$1`), each before an id (`$2`) with at most `$3` rows; the last column numbers the
/// page.
pub(super) static PAGES: LazyLock<String> = LazyLock::new(|| {
    let summary = &*SUMMARY;
    format!(
        "SELECT page.*, wanted.place
         FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) WITH ORDINALITY AS wanted (owner, before, count, place)
         CROSS JOIN LATERAL (SELECT {summary}
             FROM tasks WHERE tasks.owner = wanted.owner AND tasks.id < wanted.before
             ORDER BY tasks.id DESC LIMIT wanted.count
         ) AS page"
    )
});

/// Allows sequential scans in this transaction, for statements that read a whole table.
pub(super) const READ_ALL: &str = "SET LOCAL enable_seqscan = on";

/// Returns the number of due tasks and the time of the oldest. It reads all of the narrow queue table, but no
/// ended task.
pub(super) async fn backlog(transaction: &mut Transaction<'_>) -> StoreResult<Backlog> {
    const BACKLOG: &str = "SELECT count(*), min(run_at) FROM queue";
    sqlx::raw_sql(READ_ALL).execute(&mut *transaction.connection).await?;
    let row = sqlx::query(BACKLOG).fetch_one(&mut *transaction.connection).await?;
    Ok(Backlog { tasks: row.try_get::<i64, _>(0)?.unsigned_abs(), oldest: row.time_if_any(1)? })
}

/// Returns the number of the owner's due tasks with a smaller scheduling key.
pub(super) async fn ahead(
    connection: &mut PgConnection,
    (owner, (aged, run_at, id), now): (Option<UserId>, SchedulingKey, DateTime<Utc>),
) -> StoreResult<u32> {
    const TASKS_AHEAD: &str = "\
        SELECT count(*) FROM (
            SELECT 1 FROM queue WHERE owner = $1 AND run_at <= $2
                AND (greatest(run_at, 'epoch') - priority * $3::interval, run_at, task) < ($4, $5, $6)
            LIMIT $7
        ) AS ahead";
    let counted = sqlx::query_scalar::<_, i64>(TASKS_AHEAD)
        .bind(owner.map_or(Uuid::nil(), |owner| owner.0))
        .bind(now)
        .bind(aging())
        .bind(aged)
        .bind(run_at)
        .bind(id.0)
        .bind(i64::from(MAX_AHEAD))
        .fetch_one(connection)
        .await?;
    Ok(u32::try_from(counted).unwrap_or(MAX_AHEAD))
}

/// Arguments of a page of one owner's tasks without other filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Listing {
    owner: Uuid,
    before: Uuid,
    limit: PageLimit,
}

impl Listing {
    /// Returns `None` for a query with other filters, or one for the tasks of all owners.
    pub(super) fn new(query: &TaskQuery) -> Option<Self> {
        let plain = TaskQuery { owner: query.owner, page: query.page, ..TaskQuery::default() };
        let owner = query.owner.filter(|_| plain == *query)?.0;
        let before = query.page.cursor.map_or(Uuid::max(), |before| before.0);
        Some(Self { owner, before, limit: query.page.limit })
    }
}

/// Reads the rows of these tasks; one result per id, `None` for an unknown one.
pub(super) async fn get_each(database: &Database, ids: Vec<TaskId>) -> Vec<Result<Option<Arc<PgRow>>>> {
    match database.run(TASKS.select(), ids.clone(), |connection, ids| Box::pin(find(connection, ids))).await {
        Ok(found) => shared(&ids, found).into_iter().map(Ok).collect(),
        Err(e) => ids.iter().map(|_| Err(e.clone())).collect(),
    }
}

/// Reads the rows of each of these pages; one result per listing.
pub(super) async fn list_each(database: &Database, asked: Vec<Listing>) -> Vec<Result<Arc<RawPage>>> {
    let mut wanted = asked.clone();
    wanted.sort_unstable();
    wanted.dedup();
    match database
        .run(TASKS.select(), wanted.clone(), |connection, wanted| Box::pin(pages(connection, wanted)))
        .await
    {
        Ok(found) => {
            let found = wanted.iter().copied().zip(found.into_iter().map(Arc::new)).collect();
            let missing = || Error::internal("a page was not read");
            shared(&asked, found).into_iter().map(|page| page.ok_or_else(missing)).collect()
        }
        Err(e) => asked.iter().map(|_| Err(e.clone())).collect(),
    }
}

async fn find(connection: &mut PgConnection, ids: &[TaskId]) -> StoreResult<HashMap<TaskId, Arc<PgRow>>> {
    let rows = sqlx::query(BY_IDS).bind(keys(ids)).fetch_all(connection).await?;
    rows.into_iter().map(|row| Ok((TaskId(row.try_get("id")?), Arc::new(row)))).collect()
}

async fn pages(connection: &mut PgConnection, wanted: &[Listing]) -> StoreResult<Vec<RawPage>> {
    let mut rows = sqlx::query(PAGES.as_str())
        .bind(wanted.iter().map(|listing| listing.owner).collect::<Vec<_>>())
        .bind(wanted.iter().map(|listing| listing.before).collect::<Vec<_>>())
        .bind(wanted.iter().map(|listing| i64::from(listing.limit.get()) + 1).collect::<Vec<_>>())
        .fetch(connection);
    let mut pages: Vec<RawPage> = wanted.iter().map(|listing| RawPage::new(listing.limit)).collect();
    // The rows of a page come in the order of its subquery; those of several pages may alternate.
    while let Some(row) = rows.try_next().await? {
        let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or_default();
        if let Some(page) = pages.get_mut(place.wrapping_sub(1)) {
            page.add(row);
        }
    }
    Ok(pages)
}

/// The rows of a page. A row beyond it is dropped as it arrives, so that what is held is bounded by the pages and not by the
/// rows that their limits allow; and the others stay as PostgreSQL sent them until one of those who asked for the page reads
/// them. Decoded, the pages of one statement would take many times as much, and once more for each caller.
#[derive(Debug)]
pub(super) struct RawPage {
    bounds: PageBounds,
    rows: Vec<PgRow>,
}

impl RawPage {
    fn new(limit: PageLimit) -> Self {
        Self { bounds: PageBounds::new(limit.get() as usize), rows: Vec::new() }
    }

    fn add(&mut self, row: PgRow) {
        if self.bounds.admits(bytes(&row, SUMMARY_CONTENT)) {
            self.rows.push(row);
        }
    }

    /// Decodes the page of summaries.
    ///
    /// # Errors
    /// That of the first row that cannot be read.
    pub(super) fn read(&self) -> StoreResult<Page<TaskSummary, TaskId>> {
        let summaries = self.rows.iter().map(decode_summary).collect::<StoreResult<Vec<_>>>()?;
        Ok(Page::ending(summaries, self.bounds.is_full(), |summary| Some(summary.task.id)))
    }
}

/// The task in a row.
pub(super) fn task(row: &PgRow) -> StoreResult<Task> {
    decode_task(row).map(|record| record.task)
}
