//! A write of several statements: whole or not at all, and begun again when others were in its way.

use futures::future::BoxFuture;
use sqlx::PgConnection;
use sutazai_core::Result;
use sutazai_core::domain::TaskStatus;
use sutazai_core::ports::{WakeUp, count_entered};
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::fault::{self, Outcome};
use super::framing::{begin, end};
use super::limit::Limit;
use crate::detached::{detached, unless_abandoned};

/// So often a write is tried that others are in the way of.
const TRIES: usize = 8;

/// The open transaction, as a write sees it.
pub(super) struct Transaction<'c> {
    /// The connection.
    pub(super) connection: &'c mut PgConnection,
    /// For after the commit.
    pub(super) wake_ups: Vec<WakeUp>,
    /// Counted after the commit: tasks of these agents have entered these statuses.
    pub(super) entered: Vec<(String, TaskStatus)>,
}

impl Database {
    /// Runs one write and gives what it gives and its wake-ups once it is committed. Two writers may each wait for what
    /// the other holds: PostgreSQL ends one of them, which then tries again.
    pub(super) async fn write<A, T, F>(&self, input: A, work: F) -> Result<(T, Vec<WakeUp>)>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t A) -> BoxFuture<'t, Outcome<T>> + Send + Sync + 'static,
    {
        self.write_within(Limit::Usual, input, work).await
    }

    /// The same with another limit.
    pub(super) async fn write_within<A, T, F>(
        &self,
        limit: Limit,
        input: A,
        work: F,
    ) -> Result<(T, Vec<WakeUp>)>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t A) -> BoxFuture<'t, Outcome<T>> + Send + Sync + 'static,
    {
        let database = self.clone();
        detached(move |abandoned| async move {
            database.within(limit, database.tried(limit, &abandoned, (&input, &work))).await
        })
        .await
    }

    async fn tried<A, T, F>(
        &self,
        limit: Limit,
        abandoned: &CancellationToken,
        (input, work): (&A, &F),
    ) -> Result<(T, Vec<WakeUp>)>
    where
        A: Sync,
        F: for<'t> Fn(&'t mut Transaction<'_>, &'t A) -> BoxFuture<'t, Outcome<T>> + Send + Sync,
    {
        let mut tries = 1;
        loop {
            let mut lent = unless_abandoned(abandoned, self.take()).await?;
            let outcome = async {
                begin(&mut lent, self.framing(), limit).await?;
                let mut transaction =
                    Transaction { connection: &mut lent, wake_ups: Vec::new(), entered: Vec::new() };
                let outcome = work(&mut transaction, input).await;
                let Transaction { wake_ups, entered, .. } = transaction;
                end(&mut lent, self.framing(), outcome).await.map(|value| (value, wake_ups, entered))
            }
            .await;
            let again = outcome.as_ref().is_err_and(fault::may_pass) && tries < TRIES;
            let settled = lent.settle(outcome);
            if !again {
                return settled.map(|(value, wake_ups, entered)| {
                    entered.iter().for_each(|(agent, status)| count_entered(agent, *status));
                    (value, wake_ups)
                });
            }
            tries += 1;
        }
    }
}
