//! Tasks that come when nothing waits go straight to the slots of this process: they are added and claimed in one write, and
//! so begin after one commit instead of two. More than there are free slots are taken only as far as attempts end so soon
//! that nobody else could begin with them earlier.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use super::api::Shared;
use crate::domain::{Claim, Finish, Outcome, Task, TaskId};

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
    /// So many wait here for a slot.
    waiting: AtomicUsize,
    /// So many are being added.
    promised: AtomicUsize,
    /// Told when what was promised has come, or will not.
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

    /// Whether the claimer knows of nothing that waits in the store, and how many wait here.
    pub(super) fn tell(&self, open: bool, waiting: usize) {
        self.open.store(open, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    /// How many tasks are being added that come here.
    pub(super) fn promised(&self) -> usize {
        self.promised.load(Ordering::Relaxed)
    }

    /// Waits until what was promised has come, or will not.
    pub(super) async fn settled(&self) {
        self.settled.notified().await;
    }

    /// Promises to take so many, if there is room for them all.
    fn promise(&self, tasks: usize, room: usize) -> bool {
        let left = room.saturating_sub(self.waiting.load(Ordering::Relaxed));
        let more = |promised: usize| Some(promised + tasks).filter(|all| *all <= left);
        self.promised.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

/// Tasks that are to be added as claimed.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    tasks: Vec<TaskId>,
    claimer: mpsc::UnboundedSender<Vec<Claim>>,
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let hand_over = &self.shared.hand_over;
        hand_over.promised.fetch_sub(self.tasks.len(), Ordering::Relaxed);
        hand_over.settled.notify_one();
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
        let room = shared.slots.available_permits() + (soon as usize).min(MOST);
        if !hand_over.promise(tasks.len(), room) {
            return None;
        }
        tasks.iter_mut().for_each(|task| task.claim(shared.worker, now + shared.parts.lease, now));
        let tasks = tasks.iter().map(|task| task.id).collect();
        Some(Self { shared: shared.clone(), tasks, claimer })
    }

    /// Hands the claims over of those that were added with them. The caller is told of the tasks as they were added.
    pub(super) async fn hand_over(self, stored: &mut [Task]) {
        let shared = &self.shared;
        let mut claims = Vec::with_capacity(self.tasks.len());
        for (task, id) in stored.iter_mut().zip(&self.tasks) {
            // A known idempotency key gives another task.
            if task.id == *id && task.worker == Some(shared.worker) {
                let added = task.as_added();
                claims.push(Claim { task: std::mem::replace(task, added), children: Vec::new() });
            }
        }
        // The engine has stopped meanwhile: nobody is there to run them.
        if let Err(mpsc::error::SendError(claims)) = self.claimer.send(claims) {
            let back = |claim: &Claim| Finish { claim: claim.key(), outcome: Outcome::HandBack };
            let finished = claims.iter().map(back).collect();
            if let Err(e) = shared.parts.store.finish(finished, shared.parts.clock.now()).await {
                tracing::warn!(error = %e, tasks = claims.len(), "not handed back; they are left to their lease");
            }
        }
    }
}
