//! A write of several statements: atomic, and retried after conflicts with other writers.

use futures::future::BoxFuture;
use sqlx::PgConnection;
use sutazai_core::Result;
use sutazai_core::ports::CommitEffects;
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::error::{self, StoreResult};
use super::pool_mode::{begin, end};
use super::timeout_class::TimeoutClass;
use crate::detached::{detached, unless_abandoned};
use crate::spans::Operation;

/// Attempts of a write that conflicts with others: after 8 the caller gets the error, `Busy`.
const MAX_ATTEMPTS: usize = 8;

/// The open transaction of a write.
pub(super) struct Transaction<'c> {
    /// Connection on which the transaction is open.
    pub(super) connection: &'c mut PgConnection,
    /// Effects to announce after the commit.
    pub(super) effects: CommitEffects,
}

impl Database {
    /// Runs one write with the usual timeout and announces its effects after the commit.
    ///
    /// Two writers may each wait for a row that the other has locked. PostgreSQL aborts one of them, which is
    /// then retried with the same input: `work` must not have effects outside the transaction.
    pub(super) async fn write<A, T, F>(&self, operation: Operation, input: A, work: F) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t A) -> BoxFuture<'t, StoreResult<T>>
            + Send
            + Sync
            + 'static,
    {
        self.write_within(operation, TimeoutClass::Short, input, work).await
    }

    /// Runs one write with this timeout class and announces its effects after the commit.
    pub(super) async fn write_within<A, T, F>(
        &self,
        operation: Operation,
        limit: TimeoutClass,
        input: A,
        work: F,
    ) -> Result<T>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t A) -> BoxFuture<'t, StoreResult<T>>
            + Send
            + Sync
            + 'static,
    {
        let database = self.clone();
        let call = detached(move |abandoned| async move {
            database.within(limit, database.retry_conflicts(limit, &abandoned, (&input, &work))).await
        });
        self.spans().traced(operation, call).await
    }

    async fn retry_conflicts<A, T, F>(
        &self,
        limit: TimeoutClass,
        abandoned: &CancellationToken,
        (input, work): (&A, &F),
    ) -> Result<T>
    where
        A: Sync,
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t A) -> BoxFuture<'t, StoreResult<T>> + Send + Sync,
    {
        let mut attempt = 1;
        loop {
            let mut pooled = unless_abandoned(abandoned, self.take()).await?;
            let outcome = async {
                begin(&mut pooled, self.pool_mode(), limit).await?;
                let mut transaction =
                    Transaction { connection: &mut pooled, effects: CommitEffects::default() };
                let outcome = work(&mut transaction, input).await;
                let effects = transaction.effects;
                end(&mut pooled, self.pool_mode(), outcome).await.map(|value| (value, effects))
            }
            .await;
            let again = outcome.as_ref().is_err_and(error::may_pass) && attempt < MAX_ATTEMPTS;
            let settled = pooled.settle(outcome);
            if !again {
                return settled.map(|(value, effects)| {
                    self.wake_ups().announce(effects);
                    value
                });
            }
            attempt += 1;
        }
    }
}
