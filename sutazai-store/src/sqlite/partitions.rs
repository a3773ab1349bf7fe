//! [`QueuePartitions`] over the open transaction of the writer: queue partitions, found by a skip scan.
//!
//! SQLite has no skip scan for this, so each step is up to three searches: for the next priority of the same
//! owner and agent, for the next agent of the owner, and for the next owner.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use sutazai_core::domain::{MAX_AHEAD, PRIORITY_AGING, TaskId, UserId};
use uuid::Uuid;

use super::error::StoreResult;
use super::statement::{instant, nanos};
use super::writer::Transaction;
use crate::fair_claiming::{Due, PAGE, Partition, PartitionKey, QueuePartitions, SchedulingKey};

/// Skip scan: the first task of each partition after `?1` owner, `?2` agent, `?3` priority. The first row is
/// this key itself, without a task.
macro_rules! heads {
    () => {
        "WITH RECURSIVE partitions (owner, agent, priority, run_at, id) AS (
            SELECT ?1, ?2, ?3, NULL, NULL
            UNION ALL
            SELECT next.owner_key, next.agent, next.priority, next.run_at, next.id
            FROM partitions CROSS JOIN (SELECT ifnull(owner, zeroblob(16)) AS owner_key, agent, priority, run_at, id FROM tasks)
                AS next
            WHERE next.id = coalesce(
                (SELECT id FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' AND waiting_for = 0
                    AND ifnull(owner, zeroblob(16)) = partitions.owner AND agent = partitions.agent
                    AND priority > partitions.priority ORDER BY priority, run_at, id LIMIT 1),
                (SELECT id FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' AND waiting_for = 0
                    AND ifnull(owner, zeroblob(16)) = partitions.owner AND agent > partitions.agent
                    ORDER BY agent, priority, run_at, id LIMIT 1),
                (SELECT id FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' AND waiting_for = 0
                    AND ifnull(owner, zeroblob(16)) > partitions.owner
                    ORDER BY ifnull(owner, zeroblob(16)), agent, priority, run_at, id LIMIT 1))
        ) "
    };
}

/// First tasks of the next `?4` partitions.
const HEADS: &str =
    concat!(heads!(), "SELECT owner, agent, priority, run_at, id FROM partitions LIMIT ?4 + 0 OFFSET 1");

/// Further tasks of a partition: `?1` owner, `?2` agent, `?3` priority, `?4` and `?5` due time and id after
/// which, `?6` due by when, `?7` how many.
const DUE: &str = "\
    SELECT run_at, id FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' AND waiting_for = 0 \
    AND ifnull(owner, zeroblob(16)) = ?1 AND agent = ?2 AND priority = ?3 \
    AND run_at >= ?4 AND run_at <= ?6 AND (run_at > ?4 OR id > ?5) ORDER BY run_at, id LIMIT ?7 + 0";

/// Next time at which a task of these agents is due or a lease expires: `?1`, `?2`, `?3` sort before all
/// partitions, `?4` agents as JSON.
pub(super) const NEXT_DUE: &str = concat!(
    heads!(),
    "SELECT min(due) FROM (
        SELECT run_at AS due FROM partitions WHERE agent IN (SELECT value FROM json_each(?4))
        UNION ALL
        SELECT min(lease_until) FROM tasks INDEXED BY tasks_leases WHERE status = 'processing'
    )"
);

/// Number of the due tasks of an owner with a smaller scheduling key: `?1` owner, `?2` due by when, `?3` aging of one
/// priority level, `?4` to `?6` the key, `?7` how many at most.
const TASKS_AHEAD: &str = "\
    SELECT count(*) FROM (SELECT 1 FROM tasks INDEXED BY tasks_queue WHERE status = 'pending' AND waiting_for = 0 \
    AND ifnull(owner, zeroblob(16)) = ?1 AND run_at <= ?2 \
    AND (max(run_at, 0) - priority * ?3, run_at, id) < (?4, ?5, ?6) LIMIT ?7 + 0)";

/// Returns the number of the owner's due tasks with a smaller scheduling key.
pub(super) async fn ahead(
    connection: &mut SqliteConnection,
    (owner, (aged, run_at, id), now): (Option<UserId>, SchedulingKey, DateTime<Utc>),
) -> StoreResult<u32> {
    let aging = i64::try_from(PRIORITY_AGING.as_nanos()).unwrap_or(i64::MAX);
    let row = sqlx::query(TASKS_AHEAD)
        .bind(owner.map_or(Uuid::nil(), |owner| owner.0))
        .bind(nanos(now))
        .bind(aging)
        .bind(nanos(aged))
        .bind(nanos(run_at))
        .bind(id.0)
        .bind(i64::from(MAX_AHEAD))
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

#[async_trait]
impl QueuePartitions for Transaction {
    async fn partitions_after(&mut self, key: &PartitionKey) -> StoreResult<Vec<Partition>> {
        let rows = sqlx::query(HEADS)
            .bind(key.owner)
            .bind(&key.agent)
            .bind(key.priority)
            .bind(PAGE as u32)
            .fetch_all(&mut self.connection)
            .await?;
        let partition = |row: &SqliteRow| -> StoreResult<Partition> {
            let (owner, agent) = (row.try_get("owner")?, row.try_get("agent")?);
            let priority = row.try_get("priority")?;
            let head = (instant(row.try_get("run_at")?), TaskId(row.try_get("id")?));
            Ok(Partition::new(PartitionKey { owner, agent, priority }, head))
        };
        rows.iter().map(partition).collect()
    }

    async fn due_in(
        &mut self,
        key: &PartitionKey,
        (run_at, id): Due,
        now: DateTime<Utc>,
        limit: usize,
    ) -> StoreResult<Vec<Due>> {
        let rows = sqlx::query(DUE)
            .bind(key.owner)
            .bind(&key.agent)
            .bind(key.priority)
            .bind(nanos(run_at))
            .bind(id.0)
            .bind(nanos(now))
            .bind(limit as i64)
            .fetch_all(&mut self.connection)
            .await?;
        rows.iter().map(|row| Ok((instant(row.try_get("run_at")?), TaskId(row.try_get("id")?)))).collect()
    }

    async fn running(&mut self) -> StoreResult<Vec<(Option<UserId>, String, u32)>> {
        const RUNNING: &str = "SELECT owner, agent, count(*) AS running FROM tasks INDEXED BY tasks_leases \
                               WHERE status = 'processing' GROUP BY owner, agent";
        let rows = sqlx::query(RUNNING).fetch_all(&mut self.connection).await?;
        let count = |row: &SqliteRow| {
            let owner = row.try_get::<Option<Uuid>, _>("owner")?.map(UserId);
            Ok((owner, row.try_get("agent")?, row.try_get("running")?))
        };
        rows.iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{AssertSqlSafe, Connection};

    /// Returns the query plan of a statement, and asserts that it neither scans nor sorts.
    async fn plan(sql: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("plan.db");
        super::super::migrate_up(&path).await.unwrap();
        let options = super::super::statement::connect_options(&path);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get(3)).collect();
        assert!(
            !plan.iter().any(|line| line.contains("SCAN tasks") || line.contains("TEMP B-TREE")),
            "{plan:#?}"
        );
        plan
    }

    /// Returns the searches in the queue's index.
    fn searches(plan: &[String]) -> Vec<&str> {
        plan.iter().filter_map(|line| line.split_once("INDEX tasks_queue ")).map(|(_, by)| by).collect()
    }

    #[tokio::test]
    async fn next_partition_is_found_by_index_searches() {
        let steps = ["(<expr>=? AND agent=? AND priority>?)", "(<expr>=? AND agent>?)", "(<expr>>?)"];
        let heads = plan(HEADS).await;
        assert_eq!(searches(&heads), steps);
        let next = plan(NEXT_DUE).await;
        assert_eq!(searches(&next), steps);
        assert!(next.iter().any(|line| line.contains("USING COVERING INDEX tasks_leases")), "{next:#?}");
    }

    #[tokio::test]
    async fn tasks_ahead_are_found_in_the_partitions_of_their_owner() {
        assert_eq!(searches(&plan(TASKS_AHEAD).await), ["(<expr>=?)"]);
    }

    #[tokio::test]
    async fn due_tasks_of_a_partition_are_found_by_an_index_search() {
        let due = plan(DUE).await;
        assert_eq!(searches(&due), ["(<expr>=? AND agent=? AND priority=? AND run_at>? AND run_at<?)"]);
    }
}
