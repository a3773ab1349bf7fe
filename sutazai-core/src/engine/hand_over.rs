//! A task that comes when a slot is free and nothing waits goes straight to it: it is added and claimed in one write, and so
//! begins after one commit instead of two.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::api::Shared;
use crate::domain::{Claim, Finish, Outcome, Task, TaskId};

/// A claim that was added with its task, and the slot in which it is to run.
pub(super) type Handed = (Claim, OwnedSemaphorePermit);

/// A task that is to be added as claimed, and the slot in which it is to run.
#[derive(Debug)]
pub(super) struct Ahead {
    task: TaskId,
    slot: OwnedSemaphorePermit,
    claimer: mpsc::UnboundedSender<Handed>,
}

/// The way to the claimer.
#[derive(Debug, Default)]
pub(super) struct HandOver {
    claimer: OnceLock<mpsc::UnboundedSender<Handed>>,
    /// The claimer knows of nothing that waits.
    idle: AtomicBool,
}

impl HandOver {
    /// Opens the way; once for each engine.
    pub(super) fn open(&self) -> mpsc::UnboundedReceiver<Handed> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // A second claimer is not started.
        let _ = self.claimer.set(sender);
        receiver
    }

    /// Whether the claimer knows of nothing that waits.
    pub(super) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::Relaxed);
    }
}

impl Shared {
    /// Makes a task that comes alone, and before which nothing waits, one that this process holds.
    pub(super) fn take_ahead(&self, tasks: &mut [Task]) -> Option<Ahead> {
        let [task] = tasks else { return None };
        let now = self.parts.clock.now();
        let plain = task.run_at <= now && task.unique_key.is_none() && !self.parts.limits.are_set();
        if !plain || !self.hand_over.idle.load(Ordering::Relaxed) || self.closing.is_cancelled() {
            return None;
        }
        let claimer = self.hand_over.claimer.get()?.clone();
        let slot = self.slots.clone().try_acquire_owned().ok()?;
        task.claim(self.worker, now + self.parts.lease, now);
        Some(Ahead { task: task.id, slot, claimer })
    }

    /// Hands the claim over if the task was added with it. The caller is told of the task as it was added.
    pub(super) async fn hand_over(&self, ahead: Ahead, stored: &mut [Task]) {
        // A known idempotency key gives another task.
        let ours = |task: &&mut Task| task.id == ahead.task && task.worker == Some(self.worker);
        let Some(task) = stored.iter_mut().find(ours) else { return };
        let claim = Claim { task: task.clone(), children: Vec::new() };
        *task = task.as_added();
        // The engine has stopped meanwhile: nobody is there to run it.
        if let Err(mpsc::error::SendError((claim, _slot))) = ahead.claimer.send((claim, ahead.slot)) {
            let finish = Finish { claim: claim.key(), outcome: Outcome::HandBack };
            if let Err(e) = self.parts.store.finish(vec![finish], self.parts.clock.now()).await {
                tracing::warn!(task = %claim.task.id, error = %e, "not handed back; the task is left to its lease");
            }
        }
    }
}
