//! Local dispatch: tasks submitted while none are waiting go straight to the workers of this process. They are stored
//! and claimed in one transaction, so they start after one commit instead of two.
//!
//! Beyond the free workers, tasks are accepted only if attempts are so short that no other process could start them
//! earlier. With concurrency limits set, every task takes the way through the store, because only the store can count
//! across processes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::api::Shared;
use crate::domain::{Claim, Finish, Outcome, Task, TaskId, later};

/// Typical dispatch latency of another process; never more work than this is queued locally.
const DISPATCH_WINDOW: Duration = Duration::from_millis(10);
/// Maximum number of tasks queued locally.
const MAX_QUEUED: usize = 2_048;

/// Channel to the claimer, with the counts that decide on local dispatch.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    claimer: OnceLock<mpsc::UnboundedSender<Vec<Claim>>>,
    /// Whether the store has no due tasks that the claimer knows of.
    open: AtomicBool,
    /// Number of tasks that wait here for a worker, or will come from the store for a free one.
    waiting: AtomicUsize,
    /// Reservations: number of tasks that are being submitted, or are on their way to the claimer.
    promised: AtomicUsize,
    /// Notified when a reservation is released without a task.
    settled: Notify,
}

impl HandOver {
    /// Opens the channel to the claimer; once per engine.
    pub(super) fn begin(&self) -> mpsc::UnboundedReceiver<Vec<Claim>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // There is only one claimer, so the first call sets the sender.
        let _ = self.claimer.set(sender);
        receiver
    }

    /// Sets whether the store has no due tasks that the claimer knows of.
    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// Sets the number of tasks that wait here for a worker, or will come from the store for a free one.
    pub(super) fn set_waiting(&self, waiting: usize) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Ends the reservations of tasks that have arrived. The caller counts them as waiting first, so that they are
    /// counted at every moment.
    pub(super) fn arrived(&self, tasks: usize) {
        self.promised.fetch_sub(tasks, Ordering::SeqCst);
    }

    /// Returns the number of reservations.
    pub(super) fn promised(&self) -> usize {
        self.promised.load(Ordering::Relaxed)
    }

    /// Waits until a reservation is released without a task.
    pub(super) async fn settled(&self) {
        self.settled.notified().await;
    }

    /// Reserves capacity for all of these tasks, if there is enough.
    fn reserve(&self, tasks: usize, room: impl Fn() -> usize) -> bool {
        // A task is first reserved, then waits, then holds a permit. Reading the counters in this order may count a
        // task twice, but never misses one.
        let more = |promised: usize| {
            let waiting = self.waiting.load(Ordering::SeqCst);
            Some(promised + tasks).filter(|all| all + waiting <= room())
        };
        self.promised.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }
}

/// Tasks to be stored as claimed, with their reservation; dropping it releases what has not been sent.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    tasks: Vec<TaskId>,
    /// Number of tasks that have not been sent to the claimer.
    unsent: usize,
    claimer: mpsc::UnboundedSender<Vec<Claim>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if self.unsent > 0 {
            let hand_over = &self.shared.hand_over;
            hand_over.promised.fetch_sub(self.unsent, Ordering::SeqCst);
            hand_over.settled.notify_one();
        }
    }
}

impl Ahead {
    /// Claims these tasks for this process, all of them or none, if local dispatch is open and they are due and without
    /// a unique key.
    pub(super) fn take(shared: &Arc<Shared>, tasks: &mut [Task]) -> Option<Self> {
        let now = shared.parts.clock.now();
        let plain = |task: &Task| task.run_at <= now && task.unique_key.is_none();
        let hand_over = &shared.hand_over;
        if !hand_over.open.load(Ordering::Relaxed)
            || shared.closing.is_cancelled()
            || shared.parts.limits.are_set()
            || !tasks.iter().all(plain)
        {
            return None;
        }
        let claimer = hand_over.claimer.get()?.clone();
        let soon = shared.parts.workers as f64 * shared.pace.attempts_in(DISPATCH_WINDOW);
        let room = || shared.slots.available_permits() + (soon as usize).min(MAX_QUEUED);
        if !hand_over.reserve(tasks.len(), room) {
            return None;
        }
        tasks.iter_mut().for_each(|task| task.claim(shared.worker, later(now, shared.parts.lease), now));
        let tasks: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        Some(Self { shared: shared.clone(), unsent: tasks.len(), tasks, claimer })
    }

    /// Sends the claims of the stored tasks to the claimer. The submitter gets the tasks as they were before their
    /// claim.
    pub(super) async fn hand_over(mut self, stored: &mut [Task]) {
        let shared = self.shared.clone();
        let mut claims = Vec::with_capacity(self.tasks.len());
        for (task, id) in stored.iter_mut().zip(&self.tasks) {
            // For a known idempotency key the store returns an earlier task, which is not claimed here.
            if task.id == *id && task.worker == Some(shared.worker) {
                let added = task.as_added();
                claims.push(Claim { task: std::mem::replace(task, added), children: Vec::new() });
            }
        }
        let sent = claims.len();
        let Err(mpsc::error::SendError(claims)) = self.claimer.send(claims) else {
            self.unsent -= sent;
            return;
        };
        // The engine has shut down meanwhile, and nothing is left to run them.
        if !claims.is_empty() {
            let back = |claim: &Claim| Finish { claim: claim.key(), outcome: Outcome::HandBack };
            let finished = claims.iter().map(back).collect();
            if let Err(e) = shared.parts.store.finish(finished, shared.parts.clock.now()).await {
                tracing::warn!(error = %e, tasks = claims.len(), "release failed; tasks wait until their leases expire");
            }
        }
    }
}
