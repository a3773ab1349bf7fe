//! Tasks that come when nothing waits go straight to the slots of this process: they are added and claimed in one write, and
//! so begin after one commit instead of two. More than there are free slots are taken only as far as attempts end so soon
//! that nobody else could begin with them earlier.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::api::Shared;
use crate::domain::{Claim, Finish, Outcome, Task, TaskId, later};

/// What another process needs to hear of a task and to claim it: so much work may wait here for a slot.
const SOON: Duration = Duration::from_millis(10);
/// The most that may wait here for a slot.
const MOST: usize = 2_048;

/// The way to the claimer.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    claimer: OnceLock<mpsc::UnboundedSender<Vec<Claim>>>,
    /// The claimer knows of nothing that waits in the store.
    open: AtomicBool,
    /// So many wait here for a slot, or are about to come from the store for one that is free.
    waiting: AtomicUsize,
    /// So many are being added, or on their way here.
    promised: AtomicUsize,
    /// Told when something that was promised will not come.
    settled: Notify,
}

impl HandOver {
    /// Opens the way; once for each engine.
    pub(super) fn begin(&self) -> mpsc::UnboundedReceiver<Vec<Claim>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // A second claimer is not started.
        let _ = self.claimer.set(sender);
        receiver
    }

    /// Whether the claimer knows of nothing that waits in the store.
    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// How many wait here, or are about to come from the store for a slot that is free.
    pub(super) fn set_waiting(&self, waiting: usize) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// So many have come that were promised. Those who wait are to be counted before.
    pub(super) fn arrived(&self, tasks: usize) {
        self.promised.fetch_sub(tasks, Ordering::SeqCst);
    }

    /// How many tasks are being added that come here, or are on their way.
    pub(super) fn promised(&self) -> usize {
        self.promised.load(Ordering::Relaxed)
    }

    /// Waits until something that was promised will not come.
    pub(super) async fn settled(&self) {
        self.settled.notified().await;
    }

    /// Promises to take so many, if there is room for them all.
    fn promise(&self, tasks: usize, room: impl Fn() -> usize) -> bool {
        // A task is promised, then waits, then has a slot: looked at in this order, none is overlooked.
        let more = |promised: usize| {
            let waiting = self.waiting.load(Ordering::SeqCst);
            Some(promised + tasks).filter(|all| all + waiting <= room())
        };
        self.promised.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }
}

/// Tasks that are to be added as claimed.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    tasks: Vec<TaskId>,
    /// So many of them have not been sent to the claimer.
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
    /// Makes tasks before which nothing waits ones that this process holds: all of them or none.
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
        let soon = shared.parts.workers as f64 * shared.pace.attempts_in(SOON);
        let room = || shared.slots.available_permits() + (soon as usize).min(MOST);
        if !hand_over.promise(tasks.len(), room) {
            return None;
        }
        tasks.iter_mut().for_each(|task| task.claim(shared.worker, later(now, shared.parts.lease), now));
        let tasks: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        Some(Self { shared: shared.clone(), unsent: tasks.len(), tasks, claimer })
    }

    /// Hands the claims over of those that were added with them. The caller is told of the tasks as they were added.
    pub(super) async fn hand_over(mut self, stored: &mut [Task]) {
        let shared = self.shared.clone();
        let mut claims = Vec::with_capacity(self.tasks.len());
        for (task, id) in stored.iter_mut().zip(&self.tasks) {
            // A known idempotency key gives another task.
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
        // The engine has stopped meanwhile: nobody is there to run them.
        if !claims.is_empty() {
            let back = |claim: &Claim| Finish { claim: claim.key(), outcome: Outcome::HandBack };
            let finished = claims.iter().map(back).collect();
            if let Err(e) = shared.parts.store.finish(finished, shared.parts.clock.now()).await {
                tracing::warn!(error = %e, tasks = claims.len(), "not handed back; they are left to their lease");
            }
        }
    }
}
