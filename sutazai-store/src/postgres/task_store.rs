//! [`TaskStore`](sutazai_core::ports::TaskStore) over PostgreSQL; it batches submissions and reads.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row};
use sutazai_core::domain::{
    AgentMessage, Backlog, Claim, ClaimKey, EventLogEntry, EventOffset, NewEvent, OutcomeRecord, Page,
    PageRequest, Pruned, RetentionBatch, Task, TaskCount, TaskEvent, TaskId, TaskQuery, TaskStatistics,
    TaskStatus, TaskSummary, UserId,
};
use sutazai_core::ports::{
    ClaimRequest, CommitEffects, EventLog, LeaseState, TaskQueue, TaskRecords, WakeUp,
};
use sutazai_core::{ErrorKind, Result};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::database::Database;
use super::error::StoreResult;
use super::keys::keys;
use super::keyset::Keyset;
use super::leases::Leases;
use super::notifications::Notifications;
use super::queue_check::QueueCheck;
use super::reads::{self, Listing, RawPage};
use super::record::SUMMARY;
use super::request_batcher::RequestBatcher;
use super::text::kept;
use super::timeout_class::TimeoutClass;
use super::transaction::Transaction;
use super::{agent_messages, events, prune, queue};
use crate::columns::{SUMMARY_CONTENT, TASK_CONTENT, decode_summary, task_columns};
use crate::error::is_about_data;
use crate::spans::Operation;
use crate::tables::{AGENT_MESSAGES, TASK_EVENTS, TASKS};

/// Calls that are enqueued in one transaction: a larger batch would delay the first of its calls.
const ENQUEUE_BATCH_SIZE: usize = 256;
/// Reads in one statement: their results are in memory together.
const READ_BATCH_SIZE: usize = 64;
/// Concurrent statements of batched reads: the next one is sent while one is being answered.
const MAX_CONCURRENT_READS: usize = 2;
/// Tasks of one call above which it is not batched with others.
const MAX_BATCHED_TASKS: usize = 100;

/// Tasks to add, and the limit of pending tasks of each owner.
type Added = (Vec<Task>, Option<u32>);

/// Tasks in a PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresTaskStore {
    place: Place,
    enqueues: RequestBatcher<Added, Vec<Task>>,
    gets: RequestBatcher<TaskId, Option<Arc<PgRow>>>,
    lists: RequestBatcher<Listing, Arc<RawPage>>,
    queue_check: QueueCheck,
}

impl PostgresTaskStore {
    /// Creates the store over a database whose schema is up to date. Must be called in a Tokio runtime that
    /// outlives the store.
    pub(super) fn new(database: Database) -> Self {
        let notifications = Arc::new(Notifications::start(&database));
        let place = Place { database, leases: Arc::default(), _notifications: notifications };
        let shared = place.clone();
        let enqueues = RequestBatcher::start(1, ENQUEUE_BATCH_SIZE, move |calls| {
            let place = shared.clone();
            Box::pin(async move { place.enqueue_each(calls).await })
        });
        let database = place.database.clone();
        let gets = RequestBatcher::start(MAX_CONCURRENT_READS, READ_BATCH_SIZE, move |ids| {
            let database = database.clone();
            Box::pin(async move { reads::get_each(&database, ids).await })
        });
        let database = place.database.clone();
        let lists = RequestBatcher::start(MAX_CONCURRENT_READS, READ_BATCH_SIZE, move |listings| {
            let database = database.clone();
            Box::pin(async move { reads::list_each(&database, listings).await })
        });
        Self { place, enqueues, gets, lists, queue_check: QueueCheck::default() }
    }

    /// Runs a batched call within a span of the caller: the batch itself belongs to several traces.
    async fn traced<T>(&self, operation: Operation, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.place.database.spans().traced(operation, call).await
    }
}

#[async_trait]
impl TaskQueue for PostgresTaskStore {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        let max_pending = max_pending.filter(|_| tasks.iter().any(|task| task.owner.is_some()));
        if tasks.len() > MAX_BATCHED_TASKS {
            return self.place.enqueue(tasks.into(), max_pending, TimeoutClass::Long).await;
        }
        self.traced(TASKS.insert(), self.enqueues.call((tasks, max_pending))).await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        let claims = match self.place.claim(request).await {
            Err(e) if is_about_data(&e) => self.place.claim_each(request, &e).await?,
            claimed => claimed?,
        };
        let entered = claims.iter().map(|claim| (claim.task.agent.clone(), TaskStatus::Processing));
        let wake_ups = claims.iter().map(|claim| WakeUp::Task(claim.task.id));
        let effects = CommitEffects { wake_ups: wake_ups.collect(), entered: entered.collect() };
        self.place.database.wake_ups().announce(effects);
        Ok(claims)
    }

    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>> {
        let input = (claims.to_vec(), self.place.leases.clone());
        let renewed = self.place.database.run(TASKS.update(), input, move |connection, input| {
            Box::pin(queue::renew(connection, (&input.0, &input.1), (lease_until, now)))
        });
        renewed.await
    }

    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        self.place.record_outcomes(finished, now).await
    }

    async fn reap(&self, now: DateTime<Utc>) -> Result<u64> {
        let expired =
            self.place.database.write(TASKS.update(), now, |tx, now| Box::pin(queue::reap(tx, *now))).await?;
        // Whoever reaps expired leases also looks for tasks that nobody can claim.
        if let Err(e) = self.queue_check.step(&self.place.database, now).await {
            tracing::warn!(error = %e, "queue check failed; retrying");
        }
        Ok(expired)
    }

    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>> {
        self.place
            .database
            .run(TASKS.select(), agents.to_vec(), |connection, agents| {
                Box::pin(super::claim::next_due(connection, agents))
            })
            .await
    }

    async fn ahead(&self, task: &Task, now: DateTime<Utc>) -> Result<u32> {
        let asked = (task.owner, task.scheduling_key(), now);
        self.place
            .database
            .run(TASKS.select(), asked, |connection, asked| Box::pin(reads::ahead(connection, *asked)))
            .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.place
            .database
            .write(TASKS.select(), (), |transaction, ()| Box::pin(reads::backlog(transaction)))
            .await
    }
}

#[async_trait]
impl TaskRecords for PostgresTaskStore {
    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        let Some(row) = self.traced(TASKS.select(), self.gets.call(id)).await? else { return Ok(None) };
        reads::task(&row).map(Some).map_err(|fault| self.place.database.error(fault))
    }

    async fn list(&self, query: &TaskQuery) -> Result<Page<Task, TaskId>> {
        let read = self.place.database.run_within(
            TASKS.select(),
            TimeoutClass::Long,
            query.clone(),
            |connection, query| Box::pin(list(connection, query)),
        );
        read.await
    }

    async fn summaries(&self, query: &TaskQuery) -> Result<Page<TaskSummary, TaskId>> {
        match Listing::new(query) {
            Some(listing) => {
                let page = self.traced(TASKS.select(), self.lists.call(listing)).await?;
                page.read().map_err(|fault| self.place.database.error(fault))
            }
            None => {
                let read = self.place.database.run_within(
                    TASKS.select(),
                    TimeoutClass::Long,
                    query.clone(),
                    |connection, query| Box::pin(summaries(connection, query)),
                );
                read.await
            }
        }
    }

    async fn statistics(&self, owner: Option<UserId>) -> Result<TaskStatistics> {
        let counted = self.place.database.write_within(
            TASKS.select(),
            TimeoutClass::Long,
            owner,
            |transaction, owner| Box::pin(statistics(transaction, *owner)),
        );
        counted.await
    }

    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.place
            .database
            .write(TASKS.update(), id, move |tx, id| Box::pin(queue::cancel(tx, *id, now)))
            .await
    }

    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.place
            .database
            .write(TASKS.update(), id, move |tx, id| Box::pin(queue::retry(tx, *id, now)))
            .await
    }

    async fn delete(&self, id: TaskId) -> Result<()> {
        self.place.database.write(TASKS.delete(), id, |tx, id| Box::pin(queue::delete(tx, *id))).await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        let mut removed = 0;
        loop {
            let work =
                self.place.database.write_within(TASKS.delete(), TimeoutClass::Long, owner, |tx, owner| {
                    Box::pin(prune::delete_some(tx.connection, *owner))
                });
            let some = work.await?;
            removed += some;
            if some < prune::DELETE_BATCH_SIZE {
                return Ok(removed);
            }
        }
    }

    async fn prune(&self, look: &RetentionBatch) -> Result<Pruned> {
        self.place
            .database
            .write(TASKS.delete(), look.clone(), |tx, look| Box::pin(prune::prune(tx, look)))
            .await
    }
}

#[async_trait]
impl EventLog for PostgresTaskStore {
    async fn append(&self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<()> {
        let some = !events.is_empty();
        self.place
            .database
            .run(TASK_EVENTS.insert(), (*claim, events), |connection, input| {
                Box::pin(events::append(connection, input))
            })
            .await?;
        if some {
            let wake_ups = vec![WakeUp::Task(claim.task)];
            self.place.database.wake_ups().announce(CommitEffects { wake_ups, entered: Vec::new() });
        }
        Ok(())
    }

    async fn events_after(&self, id: TaskId, after: u64, limit: u32) -> Result<Vec<TaskEvent>> {
        let input = (id, after, limit);
        self.place
            .database
            .run(TASK_EVENTS.select(), input, |connection, input| {
                Box::pin(events::events_after(connection, *input))
            })
            .await
    }

    async fn agent_messages(&self, id: TaskId, page: PageRequest<u64>) -> Result<Page<AgentMessage, u64>> {
        let read = self.place.database.run(AGENT_MESSAGES.select(), (id, page), |connection, asked| {
            Box::pin(agent_messages::read(connection, *asked))
        });
        read.await
    }

    async fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Result<Page<EventLogEntry, EventOffset>> {
        let input = (owner, after, limit);
        self.place
            .database
            .run(TASK_EVENTS.select(), input, |connection, input| {
                Box::pin(events::event_log_after(connection, *input))
            })
            .await
    }

    async fn event_log_end(&self) -> Result<EventOffset> {
        self.place
            .database
            .run(TASK_EVENTS.select(), (), |connection, ()| Box::pin(events::event_log_end(connection)))
            .await
    }

    async fn event_log_begin(&self) -> Result<EventOffset> {
        self.place
            .database
            .run(TASK_EVENTS.select(), (), |connection, ()| Box::pin(prune::event_log_begin(connection)))
            .await
    }

    fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.place.database.wake_ups().subscribe()
    }
}

/// The database, and the leases of this process.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) database: Database,
    pub(super) leases: Arc<Leases>,
    _notifications: Arc<Notifications>,
}

impl Place {
    /// Records outcomes; returns one result per outcome, in order.
    pub(super) async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        let claims: Vec<_> =
            finished.iter().map(|OutcomeRecord { claim, .. }| (claim.task, claim.attempt)).collect();
        let done = self.database.write(TASKS.update(), finished, move |tx, finished| {
            Box::pin(queue::record_outcomes(tx, finished, now))
        });
        let answers = done.await?;
        self.leases.release(claims);
        Ok(answers)
    }

    /// Adds the tasks of several calls in one statement. If that fails, each call's tasks are added
    /// separately, so that only the invalid ones are rejected.
    async fn enqueue_each(&self, calls: Vec<Added>) -> Vec<Result<Vec<Task>>> {
        let sizes: Vec<(usize, Option<u32>)> = calls.iter().map(|(tasks, max)| (tasks.len(), *max)).collect();
        // The smallest limit of the batch applies to all; a call that it rejects is repeated alone, with its
        // own limit.
        let least = sizes.iter().filter_map(|(_, max)| *max).min();
        let all: Arc<[Task]> = calls.into_iter().flat_map(|(tasks, _)| tasks).collect();
        let outcome = self.enqueue(all.clone(), least, TimeoutClass::Short).await;
        let mut rest = &all[..];
        let alone = sizes.len() == 1;
        match outcome {
            Ok(mut stored) => sizes.into_iter().map(|(size, _)| Ok(stored.drain(..size).collect())).collect(),
            // The database failed, so a repetition per call would fail as well.
            Err(e) if alone || matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Timeout) => {
                sizes.iter().map(|_| Err(e.clone())).collect()
            }
            Err(_) => {
                let mut outcomes = Vec::with_capacity(sizes.len());
                for (size, max) in sizes {
                    let (tasks, after) = rest.split_at(size);
                    rest = after;
                    outcomes.push(self.enqueue(tasks.into(), max, TimeoutClass::Short).await);
                }
                outcomes
            }
        }
    }

    /// Adds tasks, all or none, counts them and sends their wake-ups.
    async fn enqueue(
        &self,
        tasks: Arc<[Task]>,
        max_pending: Option<u32>,
        limit: TimeoutClass,
    ) -> Result<Vec<Task>> {
        let stored = if tasks.iter().any(|task| task.unique_key.is_some()) {
            let input = (tasks, self.leases.clone());
            let work = self.database.write_within(TASKS.insert(), limit, input, move |tx, input| {
                Box::pin(queue::enqueue_unique(tx, (&input.0, &input.1), max_pending))
            });
            work.await?
        } else {
            self.database.within(limit, self.enqueue_once(tasks, max_pending, limit)).await?
        };
        let claimed = |task: &&Task| task.status == TaskStatus::Processing;
        let added = || stored.iter().filter(|(_, added)| *added).map(|(task, _)| task);
        let entered = |task: &Task, status| (task.agent.clone(), status);
        let mut statuses: Vec<_> = added().map(|task| entered(task, TaskStatus::Pending)).collect();
        statuses.extend(added().filter(claimed).map(|task| entered(task, TaskStatus::Processing)));
        let mut wake_ups: Vec<WakeUp> = added().map(|task| WakeUp::Task(task.id)).collect();
        if !added().all(|task| claimed(&task)) {
            wake_ups.insert(0, WakeUp::Queue);
        }
        self.database.wake_ups().announce(CommitEffects { wake_ups, entered: statuses });
        Ok(stored.into_iter().map(|(task, _)| task).collect())
    }

    /// Adds tasks without deduplication keys. If the connection is lost after the commit, the repetition
    /// finds the tasks instead of adding them twice.
    async fn enqueue_once(
        &self,
        tasks: Arc<[Task]>,
        max_pending: Option<u32>,
        limit: TimeoutClass,
    ) -> Result<Vec<(Task, bool)>> {
        let once = || async {
            let input = (tasks.clone(), self.leases.clone());
            let Some(max) = max_pending else {
                let work = self.database.run_within(TASKS.insert(), limit, input, |connection, input| {
                    Box::pin(queue::enqueue(connection, (&input.0, &input.1)))
                });
                return work.await;
            };
            let work = self.database.write_within(TASKS.insert(), limit, input, move |tx, input| {
                Box::pin(queue::enqueue_counted(tx.connection, (&input.0, &input.1), max))
            });
            work.await
        };
        let again = match once().await {
            Err(e) if e.kind() == ErrorKind::Unavailable => once().await,
            answered => return answered,
        };
        match again {
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let stored = enqueued_before(&self.database, tasks.clone()).await?.ok_or(e)?;
                Ok(stored.into_iter().map(|task| (task, true)).collect())
            }
            answered => answered,
        }
    }
}

/// Returns the current state of these tasks, if all of them exist.
async fn enqueued_before(database: &Database, tasks: Arc<[Task]>) -> Result<Option<Vec<Task>>> {
    let known = database
        .run(TASKS.select(), tasks.clone(), |connection, tasks| Box::pin(queue::with_ids(connection, tasks)))
        .await?;
    let mut known: HashMap<TaskId, Task> = known.into_iter().map(|task| (task.id, task)).collect();
    Ok(tasks.iter().map(|task| known.remove(&task.id)).collect())
}

async fn list(connection: &mut PgConnection, query: &TaskQuery) -> StoreResult<Page<Task, TaskId>> {
    const LIST: Keyset = Keyset { table: "tasks", columns: task_columns!(text), content: TASK_CONTENT };
    let (sql, asked) = filtered(&LIST, query);
    LIST.page(connection, sql, asked, reads::task, |task| Some(task.id)).await
}

async fn summaries(
    connection: &mut PgConnection,
    query: &TaskQuery,
) -> StoreResult<Page<TaskSummary, TaskId>> {
    let list = Keyset { table: "tasks", columns: &SUMMARY, content: SUMMARY_CONTENT };
    let (sql, asked) = filtered(&list, query);
    list.page(connection, sql, asked, decode_summary, |summary| Some(summary.task.id)).await
}

/// Begins the statement of a list of tasks with the conditions of the query, and returns the requested page.
fn filtered(list: &Keyset, query: &TaskQuery) -> (QueryBuilder<Postgres>, (Option<Uuid>, u32)) {
    let mut sql = list.select();
    if !query.ids.is_empty() {
        sql.push(" AND id = ANY(").push_bind(keys(&query.ids)).push(")");
    }
    if let Some(owner) = query.owner {
        sql.push(" AND owner = ").push_bind(owner.0);
    }
    if !query.statuses.is_empty() {
        let any: Vec<&str> = query.statuses.iter().map(|status| status.as_str()).collect();
        sql.push(" AND status = ANY(").push_bind(any).push("::task_status[])");
    }
    if let Some(search) = &query.search {
        // `strpos` instead of `LIKE`, since the text is not a pattern. By the collation, `lower` changes ASCII only.
        let title = kept(search.title()).into_owned();
        sql.push(" AND (strpos(lower(title COLLATE \"C\"), ").push_bind(title).push(") > 0");
        if let Some((first, last)) = search.ids() {
            sql.push(" OR id BETWEEN ").push_bind(first.0).push(" AND ").push_bind(last.0);
        }
        sql.push(")");
    }
    if let Some(agent) = &query.agent {
        sql.push(" AND agent = ").push_bind(kept(agent).into_owned());
    }
    if let Some(parent) = query.parent {
        sql.push(" AND parent_id = ").push_bind(parent.0);
    }
    if let Some(after) = query.created_after {
        sql.push(" AND created_at >= ").push_bind(after);
    }
    if let Some(before) = query.created_before {
        sql.push(" AND created_at < ").push_bind(before);
    }
    (sql, (query.page.cursor.map(|id| id.0), query.page.limit.get()))
}

async fn statistics(transaction: &mut Transaction<'_>, owner: Option<UserId>) -> StoreResult<TaskStatistics> {
    const ALL: &str = "SELECT agent, status::text, count(*) AS tasks FROM tasks GROUP BY agent, status";
    const OF_OWNER: &str =
        "SELECT agent, status::text, count(*) AS tasks FROM tasks WHERE owner = $1 GROUP BY agent, status";
    let connection = &mut *transaction.connection;
    let rows = match owner {
        Some(owner) => sqlx::query(OF_OWNER).bind(owner.0).fetch_all(connection).await?,
        None => {
            sqlx::raw_sql(reads::READ_ALL).execute(&mut *connection).await?;
            sqlx::query(ALL).fetch_all(connection).await?
        }
    };
    let count = |row: &PgRow| -> StoreResult<TaskCount> {
        Ok(TaskCount {
            agent: row.try_get("agent")?,
            status: row.try_get::<&str, _>("status")?.parse()?,
            count: row.try_get::<i64, _>("tasks")?.unsigned_abs(),
        })
    };
    let mut counts = rows.iter().map(count).collect::<StoreResult<Vec<_>>>()?;
    counts.sort_by(|one, other| (&one.agent, one.status).cmp(&(&other.agent, other.status)));
    Ok(TaskStatistics { counts })
}
