//! Task store over the transactions of a storage: the calls that all ports share.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::session::Session;
use super::storage::TaskStorage;
use crate::error::{Error, Result};
use crate::ports::{Announcer, WakeUp};
use crate::trace::Here;
use tokio::sync::broadcast;

/// Wake-ups that a subscriber may lag behind before it misses some and has to read everything again.
const SUBSCRIBER_CAPACITY: usize = 1_024;

/// Task store over any [`TaskStorage`]: implements the three ports of tasks with the storage's reads and writes.
///
/// Each call of a port is one transaction, and runs in a Tokio task of its own. A caller that is dropped while its call
/// waits for the transaction leaves nothing behind; a call that has begun runs to its end. A claim reads all pending
/// tasks, so the store suits queues of some thousands of tasks; a database with an index for claims implements
/// [`TaskRepository`](super::TaskRepository) instead. Other processes that write to the same storage do not wake the
/// subscribers of this one, which then find their tasks by polling.
///
/// `examples/08_custom_task_store.rs` keeps tasks in a file this way. [`TaskTransaction`](super::TaskTransaction) has an
/// example in memory.
#[derive(Debug)]
pub struct TransactionalTaskStore<S> {
    storage: Arc<S>,
    announcer: Announcer,
}

impl<S: TaskStorage> TransactionalTaskStore<S> {
    /// Creates a store over this storage.
    pub fn new(storage: S) -> Self {
        Self { storage: Arc::new(storage), announcer: Announcer::new(SUBSCRIBER_CAPACITY) }
    }

    /// Subscribes to the wake-ups of all later commits.
    pub(super) fn wake_ups(&self) -> broadcast::Receiver<WakeUp> {
        self.announcer.subscribe()
    }

    /// Begins a transaction and runs `work` in it, in a Tokio task of its own. Work that changes something commits the
    /// session at its end.
    ///
    /// A lock or a connection pool assigns itself to the next waiting future whether or not that future is polled again. A
    /// caller that waits for something else meanwhile would keep it. The runtime polls a spawned task whatever its caller
    /// does.
    ///
    /// # Errors
    /// Those of `work` and of the storage; `Internal` when the call panics, `Unavailable` when the runtime shuts down.
    pub(super) async fn run<V, F>(
        &self,
        work: impl FnOnce(Session<S::Transaction>) -> F + Send + 'static,
    ) -> Result<V>
    where
        V: Send + 'static,
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let abandoned = CancellationToken::new();
        let guard = abandoned.clone().drop_guard();
        let (storage, announcer) = (self.storage.clone(), self.announcer.clone());
        let call = async move {
            let dropped = || Err(Error::cancelled("the caller of the task store was dropped"));
            let transaction = abandoned.run_until_cancelled(storage.begin()).await.unwrap_or_else(dropped)?;
            work(Session::new(transaction, announcer)).await
        };
        let ended = tokio::spawn(Here::current().run(call)).await;
        drop(guard);
        ended.unwrap_or_else(|e| {
            if e.is_panic() {
                tracing::error!(error = %e, "call of the task store panicked");
                return Err(Error::internal("the call of the task store panicked"));
            }
            Err(Error::unavailable("the runtime that the task store was used in has ended"))
        })
    }
}
