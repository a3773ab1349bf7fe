//! [`TaskRepository`] over the open transaction of the writer. It needs no row locks, since nobody else writes.

use std::collections::HashSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::{Arguments, Row};
use sutazai_core::domain::{TaskEvent, TaskId, UserId};
use sutazai_core::ports::CommitEffects;
use sutazai_core::task_store::{DeduplicationKey, Record, TaskRepository, WriteSet};

use super::agent_messages;
use super::columns::{bind, insert_many};
use super::error::{StoreError, StoreResult};
use super::record::{INSERT, INSERT_EVENTS, UPDATE, bind_changes, bind_event};
use super::statement::bulk;
use super::writer::Transaction;
use crate::columns::{Entity, Wait, decode, decode_task, task_columns, wait_columns};

#[async_trait]
impl TaskRepository for Transaction {
    type Error = StoreError;

    async fn load(&mut self, ids: &[TaskId]) -> StoreResult<Vec<Record>> {
        const BY_ID: &str = concat!("SELECT ", task_columns!(), " FROM tasks WHERE id IN (VALUES");
        let found = bulk(&mut self.connection, (BY_ID, 1, ")"), ids, |id, to| Ok(to.add(id.0)?)).await?;
        found.iter().map(decode_task).collect()
    }

    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> StoreResult<Option<TaskId>> {
        const BY_KEY: &str =
            "SELECT id FROM tasks WHERE ifnull(owner, x'') = ifnull(?, x'') AND idempotency_key = ?";
        let query = sqlx::query(BY_KEY).bind(owner.map(|owner| owner.0)).bind(key);
        let row = query.fetch_optional(&mut self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    async fn active_with_key(&mut self, key: &DeduplicationKey) -> StoreResult<Option<TaskId>> {
        const ACTIVE_WITH_KEY: &str = "SELECT id FROM tasks INDEXED BY tasks_unique_key \
            WHERE ifnull(owner, x'') = ifnull(?, x'') AND agent = ? AND unique_key = ? \
            AND status IN ('pending', 'processing')";
        let query =
            sqlx::query(ACTIVE_WITH_KEY).bind(key.owner.map(|owner| owner.0)).bind(&key.agent).bind(&key.key);
        let row = query.fetch_optional(&mut self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    async fn set_waits(
        &mut self,
        parent: TaskId,
        children: &[TaskId],
        open: &HashSet<TaskId>,
    ) -> StoreResult<()> {
        const CLEAR: &str = "DELETE FROM task_waits WHERE parent_id = ?";
        static INSERT: LazyLock<String> = LazyLock::new(|| insert_many::<Wait>("task_waits"));
        let connection = &mut self.connection;
        sqlx::query(CLEAR).bind(parent.0).execute(&mut *connection).await?;
        let insert = (INSERT.as_str(), Wait::COLUMNS.len(), "");
        let waits = Wait::all(parent, children, open);
        bulk(connection, insert, &waits, |wait, to| bind(to, Wait::COLUMNS, wait)).await?;
        Ok(())
    }

    async fn waits(&mut self, parents: &[TaskId]) -> StoreResult<Vec<(TaskId, TaskId)>> {
        const WAITS: &str =
            concat!("SELECT ", wait_columns!(), " FROM task_waits WHERE parent_id IN (VALUES");
        let sql = (WAITS, 1, ") ORDER BY parent_id, position");
        let rows = bulk(&mut self.connection, sql, parents, |id, to| Ok(to.add(id.0)?)).await?;
        rows.iter().map(|row| decode(row).map(|wait: Wait| (wait.parent, wait.child))).collect()
    }

    async fn close_waits(&mut self, child: TaskId) -> StoreResult<HashSet<TaskId>> {
        const CLOSE: &str =
            "UPDATE task_waits SET open = 0 WHERE child_id = ? AND open = 1 RETURNING parent_id";
        let rows = sqlx::query(CLOSE).bind(child.0).fetch_all(&mut self.connection).await?;
        rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect()
    }

    async fn write(&mut self, flush: WriteSet<'_>) -> StoreResult<()> {
        let connection = &mut self.connection;
        let update =
            (UPDATE.as_str(), Record::changes().count() + 1, ") AS new WHERE tasks.id = new.column1");
        let insert = (INSERT.as_str(), Record::COLUMNS.len(), "");
        let insert_events = (INSERT_EVENTS.as_str(), TaskEvent::COLUMNS.len() + 1, "");
        bulk(connection, update, &flush.changed, |record, to| bind_changes(record, to)).await?;
        bulk(connection, insert, &flush.added, |record, to| bind(to, Record::COLUMNS, *record)).await?;
        bulk(connection, insert_events, flush.events, bind_event).await?;
        agent_messages::insert(connection, flush.messages).await
    }

    fn after_commit(&mut self, effects: CommitEffects) {
        self.effects.append(effects);
    }
}
