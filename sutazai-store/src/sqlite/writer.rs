//! The one thread that writes.
//!
//! A commit costs a sync of the disk, whatever is in it. So writes are sent to one thread, which takes all that
//! wait into one transaction, commits once, and only then answers each. One that fails is undone alone.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use sutazai_core::domain::TaskStatus;
use sutazai_core::ports::{WakeUp, count_entered};
use sutazai_core::{Error, Result};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::fault::{Fault, Outcome};
use super::statement::connect_options;

/// At most so many writes in one transaction, so that the first of them does not wait for long.
const GROUP: usize = 256;
/// So many wake-ups a slow subscriber may be behind before it has to read everything again.
const WAKE_UPS: usize = 4096;

/// The way to the writing thread. The thread ends when the last one is dropped.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    wake_ups: broadcast::Sender<WakeUp>,
    path: PathBuf,
}

/// The open transaction, as a write sees it.
pub(super) struct Transaction {
    /// The connection.
    pub(super) connection: SqliteConnection,
    /// Sent after the commit.
    pub(super) wake_ups: Vec<WakeUp>,
    /// Counted after the commit: tasks of these agents have entered these statuses.
    pub(super) entered: Vec<(String, TaskStatus)>,
}

impl Writer {
    /// Connects and starts the thread.
    pub(super) async fn start(path: &Path) -> Result<Self> {
        let connection = SqliteConnection::connect_with(&connect_options(path))
            .await
            .map_err(|e| Fault::from(e).into_error(path))?;
        let (jobs, waiting) = mpsc::channel(1024);
        let (wake_ups, _) = broadcast::channel(WAKE_UPS);
        let unavailable =
            |e| Error::unavailable("the thread that writes the database could not start").with_source(e);
        // Its own runtime: the store outlives the runtime that opened it, as an embedder's may.
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(unavailable)?;
        let (sender, place) = (wake_ups.clone(), path.to_owned());
        std::thread::Builder::new()
            .name("sutazai-sqlite-writer".into())
            .spawn(move || {
                let transaction = Transaction { connection, wake_ups: Vec::new(), entered: Vec::new() };
                runtime.block_on(serve(transaction, waiting, &sender, &place));
            })
            .map_err(unavailable)?;
        Ok(Self { jobs, wake_ups, path: path.to_owned() })
    }

    /// Runs one write and answers once it is on disk. An error of the write undoes it, and it alone.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Outcome<T>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let gone =
            |_| Error::unavailable(format!("the thread that writes {} has ended", self.path.display()));
        let job = Call { work: Some(work), value: None, reply };
        self.jobs.send(Box::new(job)).await.map_err(|_| gone(()))?;
        answer.await.map_err(|_| gone(()))?
    }

    /// Wake-ups from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.wake_ups.subscribe()
    }
}

/// One write that waits for its turn.
#[async_trait]
trait Job: Send {
    /// Runs it and keeps what it gives.
    async fn run(&mut self, transaction: &mut Transaction) -> Outcome<()>;
    /// Answers: with what it gave, if the commit succeeded.
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
    F: for<'t> FnOnce(&'t mut Transaction) -> BoxFuture<'t, Outcome<T>> + Send,
{
    async fn run(&mut self, transaction: &mut Transaction) -> Outcome<()> {
        if let Some(work) = self.work.take() {
            // The thread goes on for all others.
            let done = AssertUnwindSafe(work(transaction)).catch_unwind().await;
            self.value = Some(done.unwrap_or_else(|_| Err(Error::internal("the write panicked").into()))?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, outcome: Result<()>) {
        let Self { value, reply, .. } = *self;
        let nothing = || Error::internal("a write was committed without having run");
        // If nobody waits for the answer any more, the write stands all the same.
        let _ = reply.send(outcome.and_then(|()| value.ok_or_else(nothing)));
    }
}

/// Takes what waits, writes it, answers; until nobody can send any more.
async fn serve(
    mut transaction: Transaction,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
    wake_ups: &broadcast::Sender<WakeUp>,
    path: &Path,
) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let outcomes = write(&mut transaction, &mut group).await.map_err(|fault| fault.into_error(path));
        if outcomes.is_err() {
            transaction.wake_ups.clear();
            transaction.entered.clear();
            // SQLite has rolled back by itself after some errors; then this one only says so.
            let _ = transaction.execute("ROLLBACK").await;
        }
        for (agent, status) in transaction.entered.drain(..) {
            count_entered(&agent, status);
        }
        for wake_up in transaction.wake_ups.drain(..) {
            // An error says that nobody listens.
            let _ = wake_ups.send(wake_up);
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
        tracing::warn!(%error, path = %path.display(), "the database was not closed cleanly");
    }
}

/// Writes a group in one transaction; what became of each. An error is one of the whole group.
async fn write(transaction: &mut Transaction, group: &mut [Box<dyn Job>]) -> Outcome<Vec<Outcome<()>>> {
    transaction.execute("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(group.len());
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

/// Runs a write so that its failure undoes it and nothing else.
async fn guarded(transaction: &mut Transaction, job: &mut dyn Job) -> Outcome<Outcome<()>> {
    let (heard, entered) = (transaction.wake_ups.len(), transaction.entered.len());
    transaction.execute("SAVEPOINT job").await?;
    let outcome = job.run(transaction).await;
    if outcome.is_err() {
        transaction.wake_ups.truncate(heard);
        transaction.entered.truncate(entered);
        if transaction.execute("ROLLBACK TO job").await.is_err() {
            // The whole transaction is gone, as after a full disk: so is everybody's work.
            return outcome.map(Ok);
        }
    }
    transaction.execute("RELEASE job").await?;
    Ok(outcome)
}

impl Transaction {
    async fn execute(&mut self, sql: &'static str) -> Outcome<()> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }
}
