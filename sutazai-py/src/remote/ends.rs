//! Waits for the ends of tasks on a server, for any number of waiters with one stream of events.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use sutazai::domain::{EventKind, TaskEvent, TaskId, TaskStatus};
use sutazai::external::CancellationToken;
use sutazai::ports::{Clock, SystemClock};
use sutazai::{Error, ErrorKind, Result};
use tokio::sync::{Notify, mpsc};

use super::errors::unexpected;
use super::http::Http;
use super::request::Request;

/// Time for which the stream stays open without a waiter, because opening it costs a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Delay after a stream that has ended, such as that of a server that restarts.
const REOPEN_DELAY: Duration = Duration::from_millis(500);

/// Sender of the ids of tasks that may have ended, or of the error that ended the stream.
type Announce = mpsc::UnboundedSender<Result<TaskId>>;

#[derive(Debug, Default)]
struct State {
    by_task: HashMap<TaskId, Vec<Announce>>,
    /// True while the stream reports the ends of tasks.
    is_open: bool,
}

#[derive(Debug, Default)]
struct Waiters {
    state: Mutex<State>,
    arrived: Notify,
}

impl Waiters {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned lock is safe to use: every change is a single insert, remove or assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().by_task.is_empty()
    }

    fn announce(&self, task: TaskId) {
        for waiter in self.lock().by_task.get(&task).into_iter().flatten() {
            // The receiver is removed from the map before it is dropped.
            let _ = waiter.send(Ok(task));
        }
    }

    /// Notes that the stream is open, and lets every waiter look at its tasks, which may have ended before.
    fn open(&self) {
        let mut state = self.lock();
        state.is_open = true;
        for (task, waiters) in &state.by_task {
            for waiter in waiters {
                let _ = waiter.send(Ok(*task));
            }
        }
    }

    /// Notes that the stream has ended.
    fn close(&self) {
        self.lock().is_open = false;
    }

    /// Lets every waiter fail.
    fn fail(&self, error: &Error) {
        for waiter in self.lock().by_task.values().flatten() {
            let _ = waiter.send(Err(error.clone()));
        }
    }
}

/// Announcer of ended tasks of one server. It reads events only while somebody waits.
#[derive(Debug, Clone, Default)]
pub(super) struct EndedTasks {
    waiters: Arc<Waiters>,
}

impl EndedTasks {
    /// Reads the events of the server until the token is cancelled.
    pub(super) async fn run(self, http: Http, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if self.waiters.is_empty() {
                stop.run_until_cancelled(self.waiters.arrived.notified()).await;
                continue;
            }
            let followed = stop.run_until_cancelled(self.follow(&http)).await;
            self.waiters.close();
            let pause = match followed {
                Some(Err(e)) => {
                    self.waiters.fail(&e);
                    IDLE_TIMEOUT
                }
                Some(Ok(())) | None => REOPEN_DELAY,
            };
            tokio::select! {
                () = SystemClock.sleep(pause) => {}
                () = self.waiters.arrived.notified() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Announces the tasks whose end is in the events, until the stream ends or nobody waits.
    async fn follow(&self, http: &Http) -> Result<()> {
        let request = Request::get("api/v1/events").query("types", "status");
        let Some(mut events) = http.events(&request).await? else { return Ok(()) };
        self.waiters.open();
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                () = SystemClock.sleep(IDLE_TIMEOUT) => {
                    if self.waiters.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
            };
            let event = match event {
                Ok(Some(event)) if event.data.is_empty() => continue,
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(e) => {
                    tracing::debug!(error = %e, "event stream ended; reopening");
                    return Ok(());
                }
            };
            let event: TaskEvent = serde_json::from_str(&event.data).map_err(unexpected)?;
            if let EventKind::Status { status, .. } = event.kind
                && status.has_ended()
            {
                self.waiters.announce(event.task_id);
            }
        }
    }

    /// Registers a waiter for these tasks.
    pub(super) fn wait_for(&self, tasks: impl IntoIterator<Item = TaskId>) -> EndedWaiter {
        let (announce, announced) = mpsc::unbounded_channel();
        let waiting: HashSet<TaskId> = tasks.into_iter().collect();
        let mut state = self.waiters.lock();
        for task in &waiting {
            state.by_task.entry(*task).or_default().push(announce.clone());
            if state.is_open {
                // Read once, because it may have ended already. Otherwise the opened stream lets it be read.
                let _ = announce.send(Ok(*task));
            }
        }
        drop(state);
        self.waiters.arrived.notify_one();
        EndedWaiter { waiters: self.waiters.clone(), waiting, announce, announced, next: None }
    }
}

/// Waiter for a set of tasks.
#[derive(Debug)]
pub(super) struct EndedWaiter {
    waiters: Arc<Waiters>,
    waiting: HashSet<TaskId>,
    announce: Announce,
    announced: mpsc::UnboundedReceiver<Result<TaskId>>,
    /// Announced task that is being read; kept here, because a wait may be dropped while it reads.
    next: Option<TaskId>,
}

impl EndedWaiter {
    /// Waits for the next task that has ended and returns it as JSON; `None` if none is left. Tasks are returned once each.
    ///
    /// # Errors
    /// `NotFound` if one of the tasks does not exist, and those of the connection.
    pub(super) async fn next(&mut self, http: &Http) -> Result<Option<Value>> {
        while !self.waiting.is_empty() {
            let id = match self.next {
                Some(id) => id,
                None => match self.announced.recv().await {
                    Some(announced) => *self.next.insert(announced?),
                    None => return Ok(None),
                },
            };
            if !self.waiting.contains(&id) {
                self.next = None;
                continue;
            }
            let read = http.data::<Value>(&Request::get(format!("api/v1/tasks/{id}"))).await;
            if read.as_ref().err().is_none_or(|e| e.kind() == ErrorKind::NotFound) {
                self.next = None;
            }
            let task = read?;
            if status_of(&task).is_some_and(TaskStatus::has_ended) {
                self.waiting.remove(&id);
                self.unregister(id);
                return Ok(Some(task));
            }
        }
        Ok(None)
    }

    fn unregister(&self, task: TaskId) {
        let mut state = self.waiters.lock();
        if let Some(waiters) = state.by_task.get_mut(&task) {
            waiters.retain(|waiter| !waiter.same_channel(&self.announce));
            if waiters.is_empty() {
                state.by_task.remove(&task);
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

/// Returns the status of a task that is given as JSON.
pub(super) fn status_of(task: &Value) -> Option<TaskStatus> {
    task.get("status")?.as_str()?.parse().ok()
}
