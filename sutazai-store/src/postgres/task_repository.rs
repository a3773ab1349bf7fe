//! [`TaskRepository`] over an open transaction. Loaded rows stay locked until it ends.

use std::collections::HashSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use sqlx::Row;
use sutazai_core::domain::{TaskId, UserId};
use sutazai_core::ports::CommitEffects;
use sutazai_core::task_store::{DeduplicationKey, Record, TaskRepository, WriteSet};
use sutazai_core::{Error, ErrorKind};
use uuid::Uuid;

use super::agent_messages;
use super::columns::{bound_many, insert_many};
use super::error::{StoreError, StoreResult};
use super::events::tell;
use super::keys::keys;
use super::record::{in_queue, insert, update};
use super::text::kept;
use super::transaction::Transaction;
use crate::columns::{Wait, decode, decode_task, task_columns, wait_columns};

#[async_trait]
impl TaskRepository for Transaction<'_> {
    type Error = StoreError;

    async fn load(&mut self, ids: &[TaskId]) -> StoreResult<Vec<Record>> {
        // Queue rows are locked before tasks, since claims lock them in this order. Both are locked in the
        // order of the ids: transactions that lock rows in one order cannot deadlock. Locking as rows come and
        // leaving deadlocks to PostgreSQL would be right if conflicts were rare: it notices one only after 1 s,
        // and parents and children that end together often conflict.
        const QUEUED: &str = concat!(
            "SELECT FROM queue, tasks WHERE ",
            in_queue!("$1"),
            " ORDER BY tasks.id FOR UPDATE OF queue"
        );
        const BY_ID: &str =
            concat!("SELECT ", task_columns!(text), " FROM tasks WHERE id = ANY($1) ORDER BY id FOR UPDATE");
        let ids = keys(ids);
        sqlx::query(QUEUED).bind(&ids).execute(&mut *self.connection).await?;
        let found = sqlx::query(BY_ID).bind(ids).fetch_all(&mut *self.connection).await?;
        found.iter().map(decode_task).collect()
    }

    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> StoreResult<Option<TaskId>> {
        const BY_KEY: &str = "SELECT id FROM tasks WHERE idempotency_key = $2 \
            AND coalesce(owner, '00000000-0000-0000-0000-000000000000') = $1";
        let owner = owner.map_or(Uuid::nil(), |owner| owner.0);
        let row =
            sqlx::query(BY_KEY).bind(owner).bind(kept(key)).fetch_optional(&mut *self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    async fn active_with_key(&mut self, key: &DeduplicationKey) -> StoreResult<Option<TaskId>> {
        const ACTIVE_WITH_KEY: &str = "SELECT id FROM tasks \
            WHERE coalesce(owner, '00000000-0000-0000-0000-000000000000') = $1 AND agent = $2 AND active_key = $3";
        let owner = key.owner.map_or(Uuid::nil(), |owner| owner.0);
        let query = sqlx::query(ACTIVE_WITH_KEY).bind(owner).bind(&key.agent).bind(kept(&key.key));
        let row = query.fetch_optional(&mut *self.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    async fn set_waits(
        &mut self,
        parent: TaskId,
        children: &[TaskId],
        open: &HashSet<TaskId>,
    ) -> StoreResult<()> {
        const CLEAR: &str = "DELETE FROM task_waits WHERE parent_id = $1";
        static INSERT: LazyLock<String> = LazyLock::new(|| insert_many::<Wait>("task_waits"));
        sqlx::query(CLEAR).bind(parent.0).execute(&mut *self.connection).await?;
        let waits = Wait::all(parent, children, open);
        let waits = bound_many(&waits.iter().collect::<Vec<_>>())?;
        sqlx::query_with(INSERT.as_str(), waits).execute(&mut *self.connection).await?;
        Ok(())
    }

    async fn waits(&mut self, parents: &[TaskId]) -> StoreResult<Vec<(TaskId, TaskId)>> {
        const WAITS: &str = concat!(
            "SELECT ",
            wait_columns!(),
            " FROM task_waits WHERE parent_id = ANY($1) ORDER BY parent_id, position"
        );
        let rows = sqlx::query(WAITS).bind(keys(parents)).fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| decode(row).map(|wait: Wait| (wait.parent, wait.child))).collect()
    }

    async fn close_waits(&mut self, child: TaskId) -> StoreResult<HashSet<TaskId>> {
        const CLOSE: &str =
            "UPDATE task_waits SET open = false WHERE child_id = $1 AND open RETURNING parent_id";
        let rows = sqlx::query(CLOSE).bind(child.0).fetch_all(&mut *self.connection).await?;
        rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect()
    }

    async fn write(&mut self, flush: WriteSet<'_>) -> StoreResult<()> {
        if !flush.changed.is_empty() {
            update(self.connection, &flush.changed, flush.events).await?;
        }
        if !flush.added.is_empty() {
            let added = insert(self.connection, &flush.added).await?;
            if added.len() < flush.added.len() {
                let meanwhile = "a task with the same idempotency key was added concurrently";
                Err(Error::new(ErrorKind::Busy, meanwhile))?;
            }
        }
        // The first event of a task is written by the insert of the task.
        let events: Vec<_> = flush.events.iter().filter(|(_, event)| event.sequence > 1).collect();
        if !events.is_empty() {
            tell(self.connection, &events).await?;
        }
        agent_messages::insert(self.connection, flush.messages).await
    }

    fn after_commit(&mut self, effects: CommitEffects) {
        self.effects.append(effects);
    }
}
