//! [`TaskStore`](sutazai_core::ports::TaskStore) over SQLite: reads use the pool of readers, writes the writing thread.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentMessage, Backlog, Claim, ClaimKey, EventLogEntry, EventOffset, NewEvent, OutcomeRecord, Page,
    PageRequest, Pruned, RetentionBatch, Task, TaskCount, TaskEvent, TaskId, TaskQuery, TaskStatistics,
    TaskSummary, UserId,
};
use sutazai_core::ports::{ClaimRequest, EventLog, LeaseState, TaskQueue, TaskRecords, WakeUp};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::database::Database;
use super::error::StoreResult;
use super::keyset::{Keyset, Order};
use super::partitions::{self, NEXT_DUE};
use super::record::SUMMARY;
use super::statement::{instant, nanos};
use super::{agent_messages, claiming, prune, queue};
use crate::columns::{
    SUMMARY_CONTENT, TASK_CONTENT, decode, decode_summary, decode_task, event_columns, task_columns,
};
use crate::error::is_about_data;
use crate::tables::{AGENT_MESSAGES, TASK_EVENTS, TASKS};

/// Event log of all tasks.
const EVENT_LOG: Keyset = Keyset {
    table: "task_events",
    columns: concat!(event_columns!(), ", position, owner"),
    key: "position",
    order: Order::Ascending,
    content: &["kind"],
    has_large_rows: true,
};

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
impl TaskQueue for SqliteTaskStore {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        self.database
            .writer()
            .run(TASKS.insert(), move |tx| Box::pin(queue::enqueue(tx, tasks, max_pending)))
            .await
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

    async fn ahead(&self, task: &Task, now: DateTime<Utc>) -> Result<u32> {
        let asked = (task.owner, task.scheduling_key(), now);
        self.database
            .read(TASKS.select(), asked, |connection, asked| Box::pin(partitions::ahead(connection, *asked)))
            .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.database.read(TASKS.select(), (), |connection, ()| Box::pin(backlog(connection))).await
    }
}

#[async_trait]
impl TaskRecords for SqliteTaskStore {
    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        self.database.read(TASKS.select(), id, |connection, id| Box::pin(get(connection, *id))).await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Page<Task, TaskId>> {
        self.database
            .read(TASKS.select(), query.clone(), |connection, query| Box::pin(list(connection, query)))
            .await
    }

    async fn summaries(&self, query: &TaskQuery) -> Result<Page<TaskSummary, TaskId>> {
        self.database
            .read(TASKS.select(), query.clone(), |connection, query| Box::pin(summaries(connection, query)))
            .await
    }

    async fn statistics(&self, owner: Option<UserId>) -> Result<TaskStatistics> {
        self.database
            .read(TASKS.select(), owner, |connection, owner| Box::pin(statistics(connection, *owner)))
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
}

#[async_trait]
impl EventLog for SqliteTaskStore {
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

    async fn agent_messages(&self, id: TaskId, page: PageRequest<u64>) -> Result<Page<AgentMessage, u64>> {
        self.database
            .read(AGENT_MESSAGES.select(), id, move |connection, id| {
                Box::pin(agent_messages::read(connection, *id, page))
            })
            .await
    }

    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Page<EventLogEntry, EventOffset>> {
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
    const GET: &str = concat!("SELECT ", task_columns!(), " FROM tasks WHERE id = ?");
    let row = sqlx::query(GET).bind(id.0).fetch_optional(&mut *connection).await?;
    row.map(|row| task(&row)).transpose()
}

fn task(row: &SqliteRow) -> StoreResult<Task> {
    decode_task(row).map(|record| record.task)
}

async fn list(connection: &mut SqliteConnection, query: &TaskQuery) -> StoreResult<Page<Task, TaskId>> {
    const LIST: Keyset = Keyset {
        table: "tasks",
        columns: task_columns!(),
        key: "id",
        order: Order::Descending,
        content: TASK_CONTENT,
        has_large_rows: true,
    };
    let (sql, asked) = filtered(&LIST, query);
    LIST.page(connection, sql, asked, task, |task| Some(task.id)).await
}

async fn summaries(
    connection: &mut SqliteConnection,
    query: &TaskQuery,
) -> StoreResult<Page<TaskSummary, TaskId>> {
    let list = Keyset {
        table: "tasks",
        columns: &SUMMARY,
        key: "id",
        order: Order::Descending,
        content: SUMMARY_CONTENT,
        has_large_rows: false,
    };
    let (sql, asked) = filtered(&list, query);
    list.page(connection, sql, asked, decode_summary, |summary| Some(summary.task.id)).await
}

/// Begins the statement of a list of tasks with the conditions of the query, and returns the requested page.
fn filtered(list: &Keyset, query: &TaskQuery) -> (QueryBuilder<Sqlite>, (Option<Uuid>, u32)) {
    let mut sql = list.select();
    if !query.ids.is_empty() {
        let mut any = sql.push(" AND id IN (").separated(", ");
        for id in &query.ids {
            any.push_bind(id.0);
        }
        sql.push(")");
    }
    if let Some(owner) = query.owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    if !query.statuses.is_empty() {
        let mut any = sql.push(" AND status IN (").separated(", ");
        for status in &query.statuses {
            any.push_bind(status.as_str());
        }
        sql.push(")");
    }
    if let Some(search) = &query.search {
        // `instr` instead of `LIKE`, since the text is not a pattern. `lower` changes ASCII only.
        sql.push(" AND (instr(lower(title), ").push_bind(search.title().to_owned()).push(") > 0");
        if let Some((first, last)) = search.ids() {
            sql.push(" OR id BETWEEN ").push_bind(first.0).push(" AND ").push_bind(last.0);
        }
        sql.push(")");
    }
    if let Some(agent) = &query.agent {
        sql.push(" AND agent = ").push_bind(agent.clone());
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
    (sql, (query.page.cursor.map(|id| id.0), query.page.limit.get()))
}

async fn statistics(connection: &mut SqliteConnection, owner: Option<UserId>) -> StoreResult<TaskStatistics> {
    const ALL: &str = "SELECT agent, status, count(*) AS tasks FROM tasks GROUP BY agent, status";
    const OF_OWNER: &str =
        "SELECT agent, status, count(*) AS tasks FROM tasks WHERE owner = ? GROUP BY agent, status";
    let counts = match owner {
        Some(owner) => sqlx::query(OF_OWNER).bind(owner.0),
        None => sqlx::query(ALL),
    };
    let rows = counts.fetch_all(&mut *connection).await?;
    let count = |row: &SqliteRow| -> StoreResult<TaskCount> {
        Ok(TaskCount {
            agent: row.try_get("agent")?,
            status: row.try_get::<&str, _>("status")?.parse()?,
            count: row.try_get("tasks")?,
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
    const EVENTS: Keyset = Keyset { columns: event_columns!(), key: "sequence", ..EVENT_LOG };
    let mut sql = EVENTS.select();
    sql.push(" AND task_id = ").push_bind(id.0);
    let asked = (Some(i64::try_from(after).unwrap_or(i64::MAX)), limit);
    let page = EVENTS.page(connection, sql, asked, decode, |event: &TaskEvent| Some(event.sequence));
    Ok(page.await?.items)
}

async fn event_log_after(
    connection: &mut SqliteConnection,
    owner: Option<UserId>,
    after: EventOffset,
    limit: u32,
) -> StoreResult<Page<EventLogEntry, EventOffset>> {
    let mut after = i64::try_from(after.0).unwrap_or(i64::MAX);
    loop {
        let read = |row: &SqliteRow| Ok((row.try_get::<i64, _>("position")?, log_entry(row).ok()));
        let cursor = |(position, _): &_| Some(EventOffset(i64::unsigned_abs(*position).into()));
        let page = EVENT_LOG.page(connection, event_log(owner), (Some(after), limit), read, cursor).await?;
        let (rows, last) = (page.items.len(), page.items.last().map(|(position, _)| *position));
        // An unreadable event must not block the others, so it is skipped.
        let page = page.filter_map(|(_, entry)| entry);
        if page.items.len() < rows {
            tracing::warn!(after, "events unreadable; events skipped");
        }
        match last {
            Some(last) if page.items.is_empty() => after = last,
            _ => return Ok(page),
        }
    }
}

fn log_entry(row: &SqliteRow) -> StoreResult<EventLogEntry> {
    Ok(EventLogEntry {
        position: EventOffset(row.try_get::<i64, _>("position")?.unsigned_abs().into()),
        owner: row.try_get::<Option<Uuid>, _>("owner")?.map(UserId),
        event: decode(row)?,
    })
}

/// Begins the statement of a page of the event log of one owner or of all.
fn event_log(owner: Option<UserId>) -> QueryBuilder<Sqlite> {
    let mut sql = EVENT_LOG.select();
    if let Some(owner) = owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    sql
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
        let log = |owner| {
            let mut sql = event_log(owner);
            EVENT_LOG.complete(&mut sql, Some(0), 64);
            sql.into_string()
        };
        for (sql, search) in [
            (log(None), "SEARCH task_events USING INTEGER PRIMARY KEY (rowid>?)"),
            (
                log(Some(UserId::new())),
                "SEARCH task_events USING INDEX task_events_owner (owner=? AND rowid>?)",
            ),
            // Reads the whole index, which holds only due tasks.
            (BACKLOG.to_owned(), "SCAN tasks USING COVERING INDEX tasks_queue"),
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
