//! [`TaskRepository`] over the open transaction of the writer. It needs no row locks, since nobody else writes.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::{Arguments, Row};
use sutazai_core::domain::{TaskId, UserId};
use sutazai_core::ports::CommitEffects;

use super::agent_messages;
use super::error::StoreResult;
use super::record::{INSERT, INSERT_EVENTS, UPDATE, bind_event, columns};
use super::statement::bulk;
use super::writer::Transaction;
use crate::task_repository::{DeduplicationKey, Record, TaskRepository, WriteSet};

#[async_trait]
impl TaskRepository for Transaction {
    async fn load(&mut self, ids: &[TaskId]) -> StoreResult<Vec<Record>> {
        const BY_ID: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE id IN (VALUES");
        let found = bulk(&mut self.connection, (BY_ID, 1, ")"), ids, |id, to| Ok(to.add(id.0)?)).await?;
        Ok(found.iter().map(Record::decode).collect())
    }

    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> StoreResult<Option<TaskId>> {
        const BY_KEY: &str =
            "SELECT id FROM tasks WHERE ifnull(owner, x'') = ifnull(?, x'') AND idempotency_key = ?";
        let query = sqlx::query(BY_KEY).bind(owner.map(|owner| owner.0)).bind(key);
        let row = query.fetch_optional(&mut self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    async fn standing(&mut self, key: &DeduplicationKey) -> StoreResult<Option<TaskId>> {
        const STANDING: &str = "SELECT id FROM tasks INDEXED BY tasks_unique_key \
            WHERE ifnull(owner, x'') = ifnull(?, x'') AND agent = ? AND unique_key = ? \
            AND status IN ('pending', 'processing')";
        let query =
            sqlx::query(STANDING).bind(key.owner.map(|owner| owner.0)).bind(&key.agent).bind(&key.key);
        let row = query.fetch_optional(&mut self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    async fn set_waits(
        &mut self,
        parent: TaskId,
        children: &[TaskId],
        open: &HashSet<TaskId>,
    ) -> StoreResult<()> {
        let connection = &mut self.connection;
        sqlx::query("DELETE FROM task_waits WHERE parent_id = ?")
            .bind(parent.0)
            .execute(&mut *connection)
            .await?;
        let rows: Vec<(u32, TaskId)> = (0..).zip(children.iter().copied()).collect();
        let insert = ("INSERT INTO task_waits (parent_id, position, child_id, open) VALUES", 4, "");
        bulk(connection, insert, &rows, |(position, child), to| {
            to.add(parent.0)?;
            to.add(*position)?;
            to.add(child.0)?;
            to.add(open.contains(child))?;
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn waits(&mut self, parents: &[TaskId]) -> StoreResult<Vec<(TaskId, TaskId)>> {
        const WAITS: &str = "SELECT parent_id, child_id FROM task_waits WHERE parent_id IN (VALUES";
        let sql = (WAITS, 1, ") ORDER BY parent_id, position");
        let rows = bulk(&mut self.connection, sql, parents, |id, to| Ok(to.add(id.0)?)).await?;
        rows.iter().map(|row| Ok((TaskId(row.try_get(0)?), TaskId(row.try_get(1)?)))).collect()
    }

    async fn close_waits(&mut self, child: TaskId) -> StoreResult<HashSet<TaskId>> {
        const CLOSE: &str =
            "UPDATE task_waits SET open = 0 WHERE child_id = ? AND open = 1 RETURNING parent_id";
        let rows = sqlx::query(CLOSE).bind(child.0).fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect()
    }

    async fn write(&mut self, flush: WriteSet<'_>) -> StoreResult<()> {
        let connection = &mut self.connection;
        bulk(connection, UPDATE, &flush.changed, |record, to| record.bind_changes(to)).await?;
        bulk(connection, INSERT, &flush.added, |record, to| record.bind(to)).await?;
        bulk(connection, INSERT_EVENTS, flush.events, bind_event).await?;
        agent_messages::insert(connection, flush.messages).await
    }

    fn after_commit(&mut self, effects: CommitEffects) {
        self.effects.append(effects);
    }
}
