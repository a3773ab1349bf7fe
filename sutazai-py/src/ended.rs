//! Waits for the ends of tasks, for any number of waiters with one subscription to the event log.
//!
//! A waiter of its own for each task would receive every wake-up of the store and read its task each second, which makes
//! the costs of waiting for n tasks grow with n².

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sutazai::Result;
use sutazai::domain::{Caller, EventKind, Task, TaskId};
use sutazai::engine::Engine;
use sutazai::external::CancellationToken;
use sutazai::external::futures::StreamExt;
use tokio::sync::{Notify, mpsc};

/// Delay after the event log could not be read.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Time for which the event log stays open without a waiter, because opening it costs several reads of the store.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Sender of the ids of tasks that may have ended. The waiter reads the task to know.
type Announce = mpsc::UnboundedSender<TaskId>;

#[derive(Debug, Default)]
struct Waiters {
    by_task: Mutex<HashMap<TaskId, Vec<Announce>>>,
    arrived: Notify,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Vec<Announce>>> {
        // A poisoned lock is safe to use: every change of the map is a single insert or remove.
        self.by_task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Announces one task to its waiters.
    fn announce(&self, task: TaskId) {
        for waiter in self.lock().get(&task).into_iter().flatten() {
            // The receiver is removed from the map before it is dropped.
            let _ = waiter.send(task);
        }
    }

    /// Announces every task to its waiters.
    fn announce_all(&self) {
        for (task, waiters) in &*self.lock() {
            for waiter in waiters {
                let _ = waiter.send(*task);
            }
        }
    }
}

/// Announcer of ended tasks of one engine. It reads the event log only while somebody waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct EndedTasks {
    waiters: Arc<Waiters>,
}

impl EndedTasks {
    /// Reads the event log until the token is cancelled.
    pub(crate) async fn run(self, engine: Engine, stop: CancellationToken) {
        let clock = engine.clock();
        while !stop.is_cancelled() {
            if self.waiters.is_empty() {
                stop.run_until_cancelled(self.waiters.arrived.notified()).await;
            } else if let Err(e) = self.follow(&engine, &stop).await {
                tracing::warn!(error = %e, "event log not readable; retrying");
                stop.run_until_cancelled(clock.sleep(RETRY_INTERVAL)).await;
            }
        }
    }

    /// Announces the tasks whose end is in the event log, until nobody has waited for [`IDLE_TIMEOUT`].
    async fn follow(&self, engine: &Engine, stop: &CancellationToken) -> Result<()> {
        let mut log = engine.event_log(&Caller::System, None).await?.events;
        // Tasks may have ended before the log was opened.
        self.waiters.announce_all();
        let clock = engine.clock();
        loop {
            let entry = tokio::select! {
                entry = log.next() => entry,
                () = clock.sleep(IDLE_TIMEOUT), if self.waiters.is_empty() => return Ok(()),
                () = stop.cancelled() => return Ok(()),
                () = self.waiters.arrived.notified() => continue,
            };
            let Some(entry) = entry.transpose()? else { return Ok(()) };
            if let EventKind::Status { status, .. } = &entry.event.kind
                && status.has_ended()
            {
                self.waiters.announce(entry.event.task_id);
            }
        }
    }

    /// Registers a waiter for these tasks.
    pub(crate) fn wait_for(&self, tasks: impl IntoIterator<Item = TaskId>) -> EndedWaiter {
        let (announce, announced) = mpsc::unbounded_channel();
        let waiting: HashSet<TaskId> = tasks.into_iter().collect();
        let mut by_task = self.waiters.lock();
        for task in &waiting {
            by_task.entry(*task).or_default().push(announce.clone());
            // Read once, because it may have ended already.
            let _ = announce.send(*task);
        }
        drop(by_task);
        self.waiters.arrived.notify_one();
        EndedWaiter { waiters: self.waiters.clone(), waiting, announce, announced }
    }
}

/// Waiter for a set of tasks.
#[derive(Debug)]
pub(crate) struct EndedWaiter {
    waiters: Arc<Waiters>,
    waiting: HashSet<TaskId>,
    announce: Announce,
    announced: mpsc::UnboundedReceiver<TaskId>,
}

impl EndedWaiter {
    /// Waits for the next task that has ended and returns it; `None` if none is left. Tasks are returned once each.
    ///
    /// # Errors
    /// `NotFound` if one of the tasks does not exist, and those of the store.
    pub(crate) async fn next(&mut self, engine: &Engine, caller: &Caller) -> Result<Option<Task>> {
        while !self.waiting.is_empty() {
            let Some(id) = self.announced.recv().await else { return Ok(None) };
            if !self.waiting.contains(&id) {
                continue;
            }
            let task = engine.task(caller, id).await?;
            if task.status.has_ended() {
                self.waiting.remove(&id);
                self.unregister(id);
                return Ok(Some(task));
            }
        }
        Ok(None)
    }

    fn unregister(&self, task: TaskId) {
        let mut by_task = self.waiters.lock();
        if let Some(waiters) = by_task.get_mut(&task) {
            waiters.retain(|waiter| !waiter.same_channel(&self.announce));
            if waiters.is_empty() {
                by_task.remove(&task);
            }
        }
    }
}

impl Drop for EndedWaiter {
    fn drop(&mut self) {
        for task in &self.waiting {
            self.unregister(*task);
        }
    }
}
