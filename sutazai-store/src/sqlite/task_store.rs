//! [`TaskStore`] over SQLite: reads use the pool of readers, writes the writing thread.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use sutazai_core::Result;
use sutazai_core::domain::page::fill_page;
use sutazai_core::domain::{
    AgentMessagePage, Backlog, Claim, ClaimKey, EventLogEntry, EventLogPage, EventOffset, MAX_PAGE_BYTES,
    NewEvent, OutcomeRecord, PageBounds, Pruned, RetentionBatch, Task, TaskCount, TaskEvent, TaskId,
    TaskPage, TaskQuery, TaskStatistics, UserId,
};
use sutazai_core::ports::{ClaimRequest, LeaseState, TaskStore, WakeUp};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::database::Database;
use super::error::StoreResult;
use super::partitions::NEXT_DUE;
use super::record::{columns, decode_event, decode_log_entry, event_bytes, json_bytes};
use super::statement::{instant, nanos, within_bytes};
use super::{agent_messages, claiming, prune, queue};
use crate::error::is_about_data;
use crate::tables::{AGENT_MESSAGES, TASK_EVENTS, TASKS};
use crate::task_repository::Record;

/// Reads the event log: `?1` after, `?2` how many, `?3` the bytes of a page.
macro_rules! event_log {
    ($which:literal) => {
        concat!(
            "SELECT sequence, at, kind, position, task_id, owner FROM task_events WHERE position IN (",
            within_bytes!(
                "position",
                "position",
                "?3",
                "SELECT position, octet_length(kind) AS bytes FROM task_events WHERE position > ?1",
                $which,
                " ORDER BY position LIMIT ?2"
            ),
            ") ORDER BY position"
        )
    };
}

/// Event log of all owners.
const EVENT_LOG: &str = event_log!("");
/// Event log of the owner `?4`.
const EVENT_LOG_OF_OWNER: &str = event_log!(" AND owner = ?4");

/// Number of pending tasks that wait for no child, and the time since which the oldest is due.
const BACKLOG: &str = "SELECT count(*), min(run_at) FROM tasks INDEXED BY tasks_queue \
                       WHERE status = 'pending' AND waiting_for = 0";

/// Tasks in an SQLite file.
#[derive(Debug)]
pub(super) struct SqliteTaskStore {
    database: Database,
}

impl SqliteTaskStore {
    /// Creates the store over a database whose schema is up to date.
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

#[async_trait]
impl TaskStore for SqliteTaskStore {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        self.database
            .writer()
            .run(TASKS.insert(), move |tx| Box::pin(queue::enqueue(tx, tasks, max_pending)))
            .await
    }

    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        self.database.read(TASKS.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<TaskPage> {
        self.database
            .read(TASKS.select(), query.clone(), |connection, query| Box::pin(list(connection, query)))
            .await
    }

    async fn statistics(&self) -> Result<TaskStatistics> {
        self.database.read(TASKS.select(), (), |connection, ()| Box::pin(statistics(connection))).await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.database.read(TASKS.select(), (), |connection, ()| Box::pin(backlog(connection))).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        let due = request.clone();
        match self.database.writer().run(TASKS.update(), |tx| Box::pin(queue::claim(tx, due))).await {
            Err(e) if is_about_data(&e) => claiming::claim_each(self.database.writer(), request, &e).await,
            claimed => claimed,
        }
    }

    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>> {
        let claims = claims.to_vec();
        self.database
            .writer()
            .run(TASKS.update(), move |tx| Box::pin(queue::renew(tx, claims, lease_until, now)))
            .await
    }

    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        self.database
            .writer()
            .run(TASKS.update(), move |tx| Box::pin(queue::record_outcomes(tx, finished, now)))
            .await
    }

    async fn reap(&self, now: DateTime<Utc>) -> Result<u64> {
        self.database.writer().run(TASKS.update(), move |tx| Box::pin(queue::reap(tx, now))).await
    }

    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>> {
        self.database
            .read(TASKS.select(), agents.to_vec(), |connection, agents| {
                Box::pin(next_due(connection, agents))
            })
            .await
    }

    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.database.writer().run(TASKS.update(), move |tx| Box::pin(queue::cancel(tx, id, now))).await
    }

    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.database.writer().run(TASKS.update(), move |tx| Box::pin(queue::retry(tx, id, now))).await
    }

    async fn delete(&self, id: TaskId) -> Result<()> {
        self.database.writer().run(TASKS.delete(), move |tx| Box::pin(queue::delete(tx, id))).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        let mut removed = 0;
        loop {
            let some = self
                .database
                .writer()
                .run(TASKS.delete(), move |tx| Box::pin(queue::delete_some(tx, owner)))
                .await?;
            removed += some;
            if some < queue::DELETE_BATCH_SIZE {
                return Ok(removed);
            }
        }
    }

    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned> {
        let look = look.clone();
        self.database.writer().run(TASKS.delete(), |tx| Box::pin(prune::prune(tx, look))).await
    }

    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()> {
        let claim = *claim;
        self.database
            .writer()
            .run(TASK_EVENTS.insert(), move |tx| Box::pin(queue::append(tx, claim, events)))
            .await
    }

    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>> {
        self.database
            .read(TASK_EVENTS.select(), id, move |connection, id| {
                Box::pin(events_after(connection, *id, after, limit))
            })
            .await
    }

    async fn agent_messages(&self, id: TaskId, after: Option<u64>, limit: u32) -> Result<AgentMessagePage> {
        self.database
            .read(AGENT_MESSAGES.select(), id, move |connection, id| {
                Box::pin(agent_messages::read(connection, *id, after, limit))
            })
            .await
    }

    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<EventLogPage> {
        self.database
            .read(TASK_EVENTS.select(), owner, move |connection, owner| {
                Box::pin(event_log_after(connection, *owner, after, limit))
            })
            .await
    }

    async fn event_log_end(&self) -> Result<EventOffset> {
        self.database
            .read(TASK_EVENTS.select(), (), |connection, ()| Box::pin(event_log_end(connection)))
            .await
    }

    async fn event_log_begin(&self) -> Result<EventOffset> {
        self.database
            .read(TASK_EVENTS.select(), (), |connection, ()| Box::pin(prune::event_log_begin(connection)))
            .await
    }

    fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.database.writer().subscribe()
    }
}

async fn get(connection: &mut SqliteConnection, id: TaskId) -> StoreResult<Option<Task>> {
    const GET: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE id = ?");
    let row = sqlx::query(GET).bind(id.0).fetch_optional(&mut *connection).await?;
    Ok(row.map(|row| Record::decode(&row).task))
}

async fn list(connection: &mut SqliteConnection, query: &TaskQuery) -> StoreResult<TaskPage> {
    let mut sql: QueryBuilder<Sqlite> = QueryBuilder::new(concat!(
        "SELECT ",
        columns!(),
        " FROM tasks WHERE id IN (SELECT id FROM (SELECT id, sum(bytes) OVER ordered - bytes AS newer, row_number() OVER ordered AS place FROM (\
         SELECT id, octet_length(payload) + ifnull(octet_length(result), 0) + ifnull(octet_length(state), 0) AS bytes \
         FROM tasks WHERE true"
    ));
    if let Some(owner) = query.owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    if let Some(status) = query.status {
        sql.push(" AND status = ").push_bind(status.as_str());
    }
    if let Some(agent) = &query.agent {
        sql.push(" AND agent = ").push_bind(agent);
    }
    if let Some(parent) = query.parent {
        sql.push(" AND parent_id = ").push_bind(parent.0);
    }
    if let Some(after) = query.created_after {
        sql.push(" AND created_at >= ").push_bind(nanos(after));
    }
    if let Some(before) = query.created_before {
        sql.push(" AND created_at < ").push_bind(nanos(before));
    }
    if let Some(before) = query.before {
        sql.push(" AND id < ").push_bind(before.0);
    }
    let limit = query.limit.clamp(1, 100);
    // One more row than requested shows whether there is a next page.
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(limit + 1);
    // Content beyond the page is not read, but for the task that ends it. The second one tells that a page whose first task
    // exceeds its bytes is not the last.
    sql.push(") WINDOW ordered AS (ORDER BY id DESC)) WHERE newer <= ").push_bind(MAX_PAGE_BYTES as i64);
    sql.push(" OR place <= 2) ORDER BY id DESC");
    let rows = sql.build().fetch_all(&mut *connection).await?;
    let tasks = rows.iter().map(|row| (json_bytes(row), || Ok(Record::decode(row).task)));
    TaskPage::of(tasks, limit as usize)
}

async fn statistics(connection: &mut SqliteConnection) -> StoreResult<TaskStatistics> {
    const COUNTS: &str = "SELECT agent, status, count(*) FROM tasks GROUP BY agent, status";
    let rows = sqlx::query(COUNTS).fetch_all(&mut *connection).await?;
    let count = |row: &SqliteRow| -> StoreResult<TaskCount> {
        Ok(TaskCount {
            agent: row.try_get(0)?,
            status: row.try_get::<&str, _>(1)?.parse()?,
            count: row.try_get(2)?,
        })
    };
    let mut counts = rows.iter().map(count).collect::<StoreResult<Vec<_>>>()?;
    counts.sort_by(|one, other| (&one.agent, one.status).cmp(&(&other.agent, other.status)));
    Ok(TaskStatistics { counts })
}

async fn backlog(connection: &mut SqliteConnection) -> StoreResult<Backlog> {
    let row = sqlx::query(BACKLOG).fetch_one(&mut *connection).await?;
    Ok(Backlog { tasks: row.try_get(0)?, oldest: row.try_get::<Option<i64>, _>(1)?.map(instant) })
}

async fn next_due(
    connection: &mut SqliteConnection,
    agents: &[String],
) -> StoreResult<Option<DateTime<Utc>>> {
    let row = sqlx::query(NEXT_DUE)
        .bind(Uuid::nil())
        .bind("")
        .bind(-1)
        .bind(serde_json::to_string(agents)?)
        .fetch_one(&mut *connection)
        .await?;
    Ok(row.try_get::<Option<i64>, _>(0)?.map(instant))
}

async fn events_after(
    connection: &mut SqliteConnection,
    id: TaskId,
    after: u64,
    limit: u32,
) -> StoreResult<Vec<TaskEvent>> {
    const EVENTS: &str = concat!(
        "SELECT sequence, at, kind FROM task_events WHERE task_id = ?1 AND sequence IN (",
        within_bytes!(
            "sequence",
            "sequence",
            "?4",
            "SELECT sequence, octet_length(kind) AS bytes FROM task_events \
             WHERE task_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3"
        ),
        ") ORDER BY sequence"
    );
    let rows = sqlx::query(EVENTS)
        .bind(id.0)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit)
        .bind(MAX_PAGE_BYTES as i64)
        .fetch_all(&mut *connection)
        .await?;
    let sized = rows.iter().map(|row| (event_bytes(row), || decode_event(id, row)));
    Ok(fill_page(sized, limit as usize)?.0)
}

async fn event_log_after(
    connection: &mut SqliteConnection,
    owner: Option<UserId>,
    after: EventOffset,
    limit: u32,
) -> StoreResult<EventLogPage> {
    let mut after = i64::try_from(after.0).unwrap_or(i64::MAX);
    loop {
        // One more row than requested shows whether there is a next page.
        let rows = log_rows(connection, owner, after, limit.saturating_add(1)).await?;
        let mut bounds = PageBounds::new(limit as usize);
        let page = rows.iter().take_while(|row| bounds.admits(event_bytes(row))).count();
        // An unreadable event must not block the others, so it is skipped.
        let items: Vec<EventLogEntry> =
            rows[..page].iter().filter_map(|row| decode_log_entry(row).ok()).collect();
        if items.len() < page {
            tracing::warn!(after, "events unreadable; events skipped");
        }
        match rows[..page].last() {
            Some(last) if items.is_empty() => after = last.try_get(3)?,
            _ => return Ok(EventLogPage { items, more: bounds.is_full() }),
        }
    }
}

/// Returns the rows of the event log after this position, of one owner or of all.
async fn log_rows(
    connection: &mut SqliteConnection,
    owner: Option<UserId>,
    after: i64,
    limit: u32,
) -> StoreResult<Vec<SqliteRow>> {
    let query = match owner {
        None => sqlx::query(EVENT_LOG),
        Some(_) => sqlx::query(EVENT_LOG_OF_OWNER),
    };
    let mut query = query.bind(after).bind(limit).bind(MAX_PAGE_BYTES as i64);
    if let Some(owner) = owner {
        query = query.bind(owner.0);
    }
    Ok(query.fetch_all(connection).await?)
}

async fn event_log_end(connection: &mut SqliteConnection) -> StoreResult<EventOffset> {
    // Unlike the largest position, it does not decrease when the latest events are deleted.
    const END: &str = "SELECT seq FROM sqlite_sequence WHERE name = 'task_events'";
    let row = sqlx::query(END).fetch_optional(&mut *connection).await?;
    let end = row.map(|row| row.try_get::<i64, _>(0)).transpose()?;
    Ok(EventOffset(end.unwrap_or_default().unsigned_abs().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::AssertSqlSafe;

    #[tokio::test]
    async fn event_log_and_backlog_are_read_by_index() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.db");
        super::super::migrate_up(&path).await.unwrap();
        let pool =
            sqlx::SqlitePool::connect_with(super::super::statement::connect_options(&path)).await.unwrap();
        for (sql, search) in [
            (EVENT_LOG, "SEARCH task_events USING INTEGER PRIMARY KEY (rowid>?)"),
            (EVENT_LOG_OF_OWNER, "SEARCH task_events USING INDEX task_events_owner (owner=? AND rowid>?)"),
            // Reads the whole index, which holds only due tasks.
            (BACKLOG, "SCAN tasks USING COVERING INDEX tasks_queue"),
        ] {
            let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
                .fetch_all(&pool)
                .await
                .unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
            assert!(plan.iter().any(|step| step == search), "{search}: {plan:?}");
            let scan = |step: &&String| step.starts_with("SCAN task") && *step != search;
            assert_eq!(plan.iter().find(scan), None, "{plan:?}");
        }
    }
}
