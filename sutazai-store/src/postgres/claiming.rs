//! Claims despite damaged tasks: one that cannot be read or written ends as failed, and the others are
//! claimed.

use chrono::{DateTime, Utc};
use sutazai_core::domain::{Claim, TaskError, TaskId, TaskStatus};
use sutazai_core::ports::{ClaimRequest, WakeUp};
use sutazai_core::task_store::UnitOfWork;
use sutazai_core::{Error, Result};

use super::claim::{self, Taken};
use super::error::StoreResult;
use super::task_store::Place;
use super::text::json;
use super::transaction::Transaction;
use crate::error::{is_about_data, unclaimable};
use crate::fair_claiming::pick;
use crate::tables::{QUEUE, TASKS};

impl Place {
    /// Claims due tasks in one statement and records those that cannot be read as failed.
    pub(super) async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        let input = (request.clone(), self.leases.clone());
        let taken = if request.limits.are_set() {
            let work = self.database.write(TASKS.update(), input, |tx, input| {
                Box::pin(claim::claim_limited(tx, (&input.0, &input.1)))
            });
            work.await?
        } else {
            let work = self.database.run(TASKS.update(), input, |connection, input| {
                Box::pin(claim::claim(connection, (&input.0, &input.1)))
            });
            work.await?
        };
        Ok(self.without_damaged(taken, request.now).await)
    }

    /// Claims due tasks one by one, after a claim of several has failed. A task that cannot be claimed ends
    /// as failed.
    pub(super) async fn claim_each(&self, request: &ClaimRequest, failed: &Error) -> Result<Vec<Claim>> {
        tracing::warn!(error = %failed, "claim failed; claiming one by one");
        let due = self
            .database
            .run(QUEUE.select(), request.clone(), |connection, request| Box::pin(pick(connection, request)));
        let mut claims = Vec::new();
        for id in due.await? {
            let input = (request.clone(), self.leases.clone());
            let alone = self.database.write(TASKS.update(), input, move |tx, input| {
                Box::pin(claim::claim_alone(tx, (&input.0, &input.1), id))
            });
            match alone.await {
                Ok(taken) => claims.extend(self.without_damaged(taken, request.now).await),
                Err(e) if is_about_data(&e) => self.park(id, &e, request.now).await?,
                Err(e) => return Err(e),
            }
        }
        Ok(claims)
    }

    /// Records the damaged tasks as failed. If that fails too, their leases expire; the other claims are run
    /// anyway.
    async fn without_damaged(&self, taken: Taken, now: DateTime<Utc>) -> Vec<Claim> {
        let Taken { claims, damaged } = taken;
        if damaged.is_empty() {
            return claims;
        }
        for record in &damaged {
            tracing::error!(task = %record.claim.task, "damaged task failed");
        }
        let recorded = self
            .record_outcomes(damaged, now)
            .await
            .and_then(|answers| answers.into_iter().collect::<Result<()>>());
        if let Err(e) = recorded {
            tracing::warn!(error = %e, "failure of damaged tasks not recorded");
        }
        claims
    }

    /// Ends a task that cannot be claimed as failed, by a direct statement: decoding its row may be what
    /// fails.
    async fn park(&self, id: TaskId, error: &Error, now: DateTime<Utc>) -> Result<()> {
        tracing::error!(task = %id, error = %error, "task cannot be claimed; it failed");
        let work = self
            .database
            .write(TASKS.update(), unclaimable(), move |tx, reason| Box::pin(park(tx, id, reason, now)));
        work.await
    }
}

async fn park(
    transaction: &mut Transaction<'_>,
    id: TaskId,
    reason: &TaskError,
    now: DateTime<Utc>,
) -> StoreResult<()> {
    // The command `Park` of the life cycle.
    const PARK: &str = "\
        WITH unqueued AS (DELETE FROM queue WHERE task = $1)
        UPDATE tasks SET status = 'failed', error = $2::jsonb, finished_at = $3, updated_at = $3, worker = NULL,
            lease_until = NULL, waiting_for = 0, cancel_requested = false, active_key = NULL,
            ended_in = coalesce(ended_in, pg_current_xact_id())
        WHERE id = $1 AND status IN ('pending', 'processing') RETURNING agent";
    let parked = sqlx::query_scalar::<_, String>(PARK)
        .bind(id.0)
        .bind(json(reason)?)
        .bind(now)
        .fetch_optional(&mut *transaction.connection)
        .await?;
    transaction.effects.entered.extend(parked.map(|agent| (agent, TaskStatus::Failed)));
    transaction.effects.wake_ups.push(WakeUp::Task(id));
    let mut changes = UnitOfWork::new(transaction);
    changes.after_parking(id, now).await?;
    changes.flush().await
}
