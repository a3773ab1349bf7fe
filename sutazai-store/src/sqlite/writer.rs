//! The one thread that writes, with group commit.
//!
//! A commit costs a sync of the disk, whatever its size, and SQLite allows one writer at a time. Writes are
//! therefore sent to one thread, which runs all that are waiting in one transaction, commits once, and only
//! then answers each. A write that fails is rolled back alone, to its savepoint. Connections that write by
//! themselves would sync once per write and poll for the lock; they would be right for a program that writes
//! rarely, where no group ever forms and the thread only adds two context switches to each write.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use sutazai_core::ports::{Announcer, CommitEffects, WakeUp};
use sutazai_core::{Error, Result};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::error::{StoreError, StoreResult};
use super::statement::connect_options;
use crate::spans::{DatabaseSpans, Operation};

/// Writes in one transaction: a larger group would delay the first of its writes.
const MAX_GROUP_SIZE: usize = 256;
/// Wake-ups that a subscriber may lag behind before it misses some and has to read everything again.
const SUBSCRIBER_CAPACITY: usize = 4096;

/// Handle for sending writes; the thread ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    announcer: Announcer,
    path: PathBuf,
    spans: DatabaseSpans,
}

/// The open transaction of a write.
pub(super) struct Transaction {
    /// Connection on which the transaction is open.
    pub(super) connection: SqliteConnection,
    /// Effects to announce after the commit.
    pub(super) effects: CommitEffects,
}

impl Writer {
    /// Connects to the database and starts the thread.
    ///
    /// # Errors
    /// `Unavailable` when the database cannot be opened or the thread cannot be started.
    pub(super) async fn start(path: &Path, spans: DatabaseSpans) -> Result<Self> {
        let connection = SqliteConnection::connect_with(&connect_options(path))
            .await
            .map_err(|e| StoreError::from(e).into_error(path))?;
        let (jobs, waiting) = mpsc::channel(1024);
        let announcer = Announcer::new(SUBSCRIBER_CAPACITY);
        let unavailable =
            |e| Error::unavailable("the thread that writes the database could not start").with_source(e);
        // A runtime of its own, because the store may outlive the runtime that opened it, as an embedder's
        // does.
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(unavailable)?;
        let (sender, place) = (announcer.clone(), path.to_owned());
        std::thread::Builder::new()
            .name("sutazai-sqlite-writer".into())
            .spawn(move || {
                let transaction = Transaction { connection, effects: CommitEffects::default() };
                runtime.block_on(serve(transaction, waiting, &sender, &place));
            })
            .map_err(unavailable)?;
        Ok(Self { jobs, announcer, path: path.to_owned(), spans })
    }

    /// Runs one write and returns once it is durable. An error rolls back this write alone.
    pub(super) async fn run<T, F>(&self, operation: Operation, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, StoreResult<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let ended =
            |_| Error::unavailable(format!("the thread that writes {} has ended", self.path.display()));
        let job = Call { work: Some(work), value: None, reply };
        let call = async {
            self.jobs.send(Box::new(job)).await.map_err(|_| ended(()))?;
            answer.await.map_err(|_| ended(()))?
        };
        self.spans.traced(operation, call).await
    }

    /// Subscribes to all wake-ups from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.announcer.subscribe()
    }
}

/// One waiting write with a type-erased result.
#[async_trait]
trait Job: Send {
    /// Runs the write and keeps its result.
    async fn run(&mut self, transaction: &mut Transaction) -> StoreResult<()>;
    /// Sends the result to the caller, if the commit succeeded.
    fn settle(self: Box<Self>, outcome: Result<()>);
}

struct Call<F, T> {
    work: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

#[async_trait]
impl<F, T> Job for Call<F, T>
where
    T: Send,
    F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, StoreResult<T>> + Send,
{
    async fn run(&mut self, transaction: &mut Transaction) -> StoreResult<()> {
        if let Some(work) = self.work.take() {
            // A panic must not end the thread, which serves all other writes.
            let done = AssertUnwindSafe(work(transaction)).catch_unwind().await;
            self.value = Some(done.unwrap_or_else(|_| Err(Error::internal("the write panicked").into()))?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        let nothing = || Error::internal("a write was committed without having run");
        // The caller may be gone; the write is committed all the same.
        let _ = reply.send(outcome.and_then(|()| value.ok_or_else(nothing)));
    }
}

/// Runs groups of waiting writes until the last handle is dropped.
async fn serve(
    mut transaction: Transaction,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
    announcer: &Announcer,
    path: &Path,
) {
    let mut group = Vec::with_capacity(MAX_GROUP_SIZE);
    while waiting.recv_many(&mut group, MAX_GROUP_SIZE).await > 0 {
        let outcomes = write(&mut transaction, &mut group).await.map_err(|fault| fault.into_error(path));
        let effects = std::mem::take(&mut transaction.effects);
        if outcomes.is_err() {
            // SQLite has already rolled back after some errors, and then this statement fails.
            let _ = transaction.execute("ROLLBACK").await;
        } else {
            announcer.announce(effects);
        }
        match outcomes {
            Ok(outcomes) => {
                for (job, outcome) in group.drain(..).zip(outcomes) {
                    job.settle(outcome.map_err(|fault| fault.into_error(path)));
                }
            }
            Err(error) => group.drain(..).for_each(|job| job.settle(Err(error.clone()))),
        }
    }
    if let Err(error) = transaction.connection.close().await {
        tracing::warn!(%error, path = %path.display(), "database not closed cleanly");
    }
}

/// Runs a group of writes in one transaction; returns the outcome of each. An error fails the whole group.
async fn write(
    transaction: &mut Transaction,
    group: &mut [Box<dyn Job>],
) -> StoreResult<Vec<StoreResult<()>>> {
    transaction.execute("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(group.len());
    // A single write needs no savepoint: its failure rolls back the transaction.
    if let [job] = group {
        job.run(transaction).await?;
        outcomes.push(Ok(()));
    } else {
        for job in group {
            outcomes.push(guarded(transaction, job.as_mut()).await?);
        }
    }
    transaction.execute("COMMIT").await?;
    Ok(outcomes)
}

/// Runs a write in a savepoint, so that its failure rolls back nothing else.
async fn guarded(transaction: &mut Transaction, job: &mut dyn Job) -> StoreResult<StoreResult<()>> {
    transaction.execute("SAVEPOINT job").await?;
    let earlier = std::mem::take(&mut transaction.effects);
    let outcome = job.run(transaction).await;
    let effects = std::mem::replace(&mut transaction.effects, earlier);
    if outcome.is_ok() {
        transaction.effects.append(effects);
    } else {
        if transaction.execute("ROLLBACK TO job").await.is_err() {
            // SQLite has rolled back the whole transaction, as it does when the disk is full, and with it the
            // other writes.
            return outcome.map(Ok);
        }
    }
    transaction.execute("RELEASE job").await?;
    Ok(outcome)
}

impl Transaction {
    async fn execute(&mut self, sql: &'static str) -> StoreResult<()> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }
}
