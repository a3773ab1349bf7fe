//! Claims despite damaged tasks: one that cannot be read or written ends as failed, and the others are
//! claimed.

use chrono::{DateTime, Utc};
use sqlx::Row;
use sutazai_core::Error;
use sutazai_core::Result;
use sutazai_core::domain::{Claim, TaskError, TaskId, TaskStatus};
use sutazai_core::ports::{ClaimRequest, WakeUp};
use sutazai_core::task_store::UnitOfWork;

use super::error::StoreResult;
use super::queue;
use super::statement::nanos;
use super::writer::{Transaction, Writer};
use crate::error::{is_about_data, unclaimable};
use crate::fair_claiming::pick;
use crate::tables::TASKS;

/// Claims due tasks one by one, after a claim of several has failed. A task that cannot be claimed ends as
/// failed.
pub(super) async fn claim_each(
    writer: &Writer,
    request: &ClaimRequest,
    failed: &Error,
) -> Result<Vec<Claim>> {
    tracing::warn!(error = %failed, "claim failed; claiming one by one");
    let now = request.now;
    let unreadable =
        writer.run(TASKS.update(), move |tx| Box::pin(fail_unreadable(tx, unclaimable(), now))).await?;
    if unreadable > 0 {
        tracing::error!(tasks = unreadable, "tasks with unreadable keys failed");
    }
    let wanted = request.clone();
    let due = writer.run(TASKS.select(), |tx| Box::pin(async move { pick(tx, &wanted).await })).await?;
    let mut claims = Vec::new();
    for id in due {
        let request = request.clone();
        match writer
            .run(TASKS.update(), move |tx| Box::pin(async move { queue::take(tx, &request, vec![id]).await }))
            .await
        {
            Ok(taken) => claims.extend(taken),
            Err(e) if is_about_data(&e) => {
                tracing::error!(task = %id, error = %e, "task cannot be claimed; it failed");
                writer.run(TASKS.update(), move |tx| Box::pin(park(tx, id, unclaimable(), now))).await?;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(claims)
}

/// Ends tasks as failed by a direct statement, the command `Park` of the life cycle: `?1` the error, `?2` the time.
macro_rules! fail {
    ($which:literal) => {
        concat!(
            "UPDATE tasks SET status = 'failed', error = ?1, finished_at = ?2, updated_at = ?2, worker = NULL, \
             lease_until = NULL, waiting_for = 0, cancel_requested = 0 WHERE ",
            $which
        )
    };
}

/// Ends pending tasks as failed whose id, owner, agent or priority cannot be read; returns how many. A claim
/// could not even name them.
async fn fail_unreadable(tx: &mut Transaction, error: TaskError, now: DateTime<Utc>) -> StoreResult<u64> {
    const SIZES: &str = fail!(
        "status = 'pending' AND waiting_for = 0 \
         AND (length(id) <> 16 OR length(owner) <> 16 OR priority NOT BETWEEN 0 AND 9)"
    );
    const AGENTS: &str =
        "SELECT DISTINCT CAST(agent AS BLOB) FROM tasks WHERE status = 'pending' AND waiting_for = 0";
    const OF_AGENT: &str = fail!("status = 'pending' AND waiting_for = 0 AND CAST(agent AS BLOB) = ?3");
    let (error, now) = (serde_json::to_string(&error)?, nanos(now));
    let connection = &mut tx.connection;
    let mut failed =
        sqlx::query(SIZES).bind(&error).bind(now).execute(&mut *connection).await?.rows_affected();
    for row in sqlx::query(AGENTS).fetch_all(&mut *connection).await? {
        let agent: Vec<u8> = row.try_get(0)?;
        if std::str::from_utf8(&agent).is_err() {
            let ended = sqlx::query(OF_AGENT).bind(&error).bind(now).bind(agent);
            failed += ended.execute(&mut *connection).await?.rows_affected();
        }
    }
    Ok(failed)
}

/// Ends a task that cannot be claimed as failed, by a direct statement: decoding its row may be what fails.
async fn park(tx: &mut Transaction, id: TaskId, error: TaskError, now: DateTime<Utc>) -> StoreResult<()> {
    const PARK: &str = fail!("id = ?3 AND status IN ('pending', 'processing') RETURNING agent");
    let parked = sqlx::query(PARK)
        .bind(serde_json::to_string(&error)?)
        .bind(nanos(now))
        .bind(id.0)
        .fetch_optional(&mut tx.connection)
        .await?;
    let agent = parked.and_then(|row| row.try_get::<String, _>(0).ok());
    tx.effects.entered.extend(agent.map(|agent| (agent, TaskStatus::Failed)));
    tx.effects.wake_ups.push(WakeUp::Task(id));
    let mut changes = UnitOfWork::new(tx);
    changes.after_parking(id, now).await?;
    changes.flush().await
}
