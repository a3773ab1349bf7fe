//! Finds pending tasks without their row in `queue`, as a statement by hand or a partial restore leaves them, and puts the row
//! back.
//!
//! A claim reads `queue` alone, so it never finds such a task. An index of pending tasks would find them at once, but every
//! claim would have to write to it. Instead the tasks are read page by page in the order of their keys, one page every 5 s:
//! 12,000 tasks a minute, in under 10 ms a page.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use sutazai_core::Result;
use sutazai_core::domain::TaskId;
use sutazai_core::ports::WakeUp;
use uuid::Uuid;

use super::database::Database;
use super::error::StoreResult;
use super::keys::keys;
use super::record::enter_queue;
use super::transaction::Transaction;
use crate::tables::{QUEUE, TASKS};

/// Time between two pages.
const PAGE_INTERVAL: Duration = Duration::from_secs(5);
/// Tasks of one page.
const PAGE_SIZE: i64 = 1_000;

/// Condition that the queue has the row of a task. Every column is compared: a row that differs in one belongs to another
/// partition, where the task is never claimed.
macro_rules! in_place {
    () => {
        "EXISTS (
            SELECT FROM queue WHERE queue.owner = coalesce(tasks.owner, '00000000-0000-0000-0000-000000000000')
                AND queue.agent = tasks.agent AND queue.priority = tasks.priority AND queue.run_at = tasks.run_at
                AND queue.task = tasks.id
        )"
    };
}

/// Progress of this process in its pass over the tasks.
#[derive(Debug, Default)]
pub(super) struct QueueCheck {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Last task of the previous page; `None` at the beginning of a pass.
    after: Option<TaskId>,
    checked_at: Option<DateTime<Utc>>,
}

impl QueueCheck {
    /// Checks the next page if one is due at `now`, and restores the tasks of it that no claim would find.
    pub(super) async fn step(&self, database: &Database, now: DateTime<Utc>) -> Result<()> {
        let Some(after) = self.begin(now) else { return Ok(()) };
        let (last, missing) = database
            .run(TASKS.select(), after, |connection, after| Box::pin(page(connection, *after)))
            .await?;
        self.state.lock().unwrap_or_else(PoisonError::into_inner).after = last;
        if missing.is_empty() {
            return Ok(());
        }
        let restored =
            database.write(QUEUE.insert(), missing, |tx, missing| Box::pin(restore(tx, missing))).await?;
        for task in &restored {
            tracing::error!(%task, "queue row of a pending task was missing; restored");
        }
        Ok(())
    }

    /// Returns the task after which the next page begins; `None` until [`PAGE_INTERVAL`] has passed since the last page.
    fn begin(&self, now: DateTime<Utc>) -> Option<TaskId> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes the difference negative and the page due, instead of far away.
        let since = state.checked_at.and_then(|at| (now - at).to_std().ok());
        if since.is_some_and(|since| since < PAGE_INTERVAL) {
            return None;
        }
        state.checked_at = Some(now);
        Some(state.after.unwrap_or(TaskId(Uuid::nil())))
    }
}

/// Reads one page. Returns its last task unless it is the last page, and its tasks that no claim would find.
async fn page(connection: &mut PgConnection, after: TaskId) -> StoreResult<(Option<TaskId>, Vec<TaskId>)> {
    // In one snapshot: a task and its row are written in one transaction.
    const PAGE: &str = concat!(
        "SELECT id, status = 'pending' AND waiting_for = 0 AND NOT ",
        in_place!(),
        " AS missing FROM tasks WHERE id > $1 ORDER BY id LIMIT $2"
    );
    let rows = sqlx::query(PAGE).bind(after.0).bind(PAGE_SIZE).fetch_all(connection).await?;
    let (mut last, mut missing) = (None, Vec::new());
    for row in &rows {
        let id = TaskId(row.try_get("id")?);
        if row.try_get("missing")? {
            missing.push(id);
        }
        last = Some(id);
    }
    Ok((last.filter(|_| rows.len() as i64 == PAGE_SIZE), missing))
}

/// Restores the rows of those tasks that are still pending and without one; returns these tasks.
async fn restore(transaction: &mut Transaction<'_>, missing: &[TaskId]) -> StoreResult<Vec<TaskId>> {
    // What is locked is being cancelled or deleted, and is looked at again in the next pass.
    const LOCK: &str = concat!(
        "SELECT id FROM tasks WHERE id = ANY($1) AND status = 'pending' AND waiting_for = 0 AND NOT ",
        in_place!(),
        " ORDER BY id FOR UPDATE SKIP LOCKED"
    );
    // A row of theirs in another partition would be counted as a task that waits.
    const CLEAR: &str = "DELETE FROM queue WHERE task = ANY($1)";
    const INSERT: &str = enter_queue!("tasks WHERE id = ANY($1)");
    let connection = &mut *transaction.connection;
    let locked = sqlx::query(LOCK).bind(keys(missing)).fetch_all(&mut *connection).await?;
    let locked = locked.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<StoreResult<Vec<_>>>()?;
    if !locked.is_empty() {
        for sql in [CLEAR, INSERT] {
            sqlx::query(sql).bind(keys(&locked)).execute(&mut *connection).await?;
        }
        transaction.effects.wake_ups.push(WakeUp::Queue);
    }
    Ok(locked)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use sutazai_core::domain::{NewTask, Task};
    use sutazai_core::ports::{Clock, SystemClock};

    use super::super::plans::place::database;
    use super::*;

    #[tokio::test]
    async fn pages_find_every_task_without_its_row_and_a_check_waits_for_its_interval() {
        let url = database().await;
        let store = crate::open(&url).await.unwrap().tasks;
        let new = |_| Task::pending(NewTask::new("echo", json!({})), None, None, SystemClock.now());
        let tasks = store.enqueue((0..PAGE_SIZE + 200).map(new).collect()).await.unwrap();
        let missing: BTreeSet<TaskId> = [3, 999, 1_000, 1_100].map(|n: usize| tasks[n].id).into();
        let database = Database::new(&url).unwrap();
        let mut connection = database.take().await.unwrap();
        let gone: Vec<TaskId> = missing.iter().copied().collect();
        let delete = sqlx::query("DELETE FROM queue WHERE task = ANY($1)").bind(keys(&gone));
        delete.execute(&mut *connection).await.unwrap();

        let (last, first) = page(&mut connection, TaskId(Uuid::nil())).await.unwrap();
        assert_eq!(last, Some(tasks[999].id));
        let (end, second) = page(&mut connection, last.unwrap()).await.unwrap();
        assert_eq!(end, None, "a page that is not full is the last");
        assert_eq!(first.into_iter().chain(second).collect::<BTreeSet<_>>(), missing);

        let (check, mut wake_ups) = (QueueCheck::default(), database.wake_ups().subscribe());
        let begun = SystemClock.now();
        check.step(&database, begun).await.unwrap();
        assert_eq!(wake_ups.try_recv(), Ok(WakeUp::Queue));
        check.step(&database, begun + PAGE_INTERVAL - Duration::from_micros(1)).await.unwrap();
        assert!(wake_ups.try_recv().is_err(), "the next page is checked after the interval");
        check.step(&database, begun + PAGE_INTERVAL).await.unwrap();
        assert_eq!(wake_ups.try_recv(), Ok(WakeUp::Queue));
        let (_, left) = page(&mut connection, TaskId(Uuid::nil())).await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }
}
