//! Reservation of workers for tasks that are submitted and claimed in one transaction.
//!
//! A task must not be claimed here without a worker that will run it, but whether it is stored is known only after the
//! commit. Capacity is therefore reserved before it, as a count, and released if the store returns an earlier task, fails,
//! or the submitter is dropped. Acquiring a worker's permit instead would be simpler, and right if tasks were accepted
//! for idle workers alone: a permit blocks its worker during the whole commit, and a task that queues behind short ones
//! has no permit to acquire.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::domain::{Claim, Outcome, OutcomeRecord, Task, TaskId, later};
use crate::engine::shared::Shared;

/// Typical dispatch latency of another process; never more work than this is queued locally.
const DISPATCH_WINDOW: Duration = Duration::from_millis(10);
/// Maximum number of tasks queued locally.
const MAX_QUEUED: usize = 2_048;

/// Tasks to be stored as claimed, with their reservation; dropping it releases what has not been sent.
#[derive(Debug)]
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    tasks: Vec<TaskId>,
    /// Number of tasks that have not been sent to the claimer.
    unsent: usize,
    claimer: mpsc::UnboundedSender<Vec<Claim>>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.unsent > 0 {
            self.shared.dispatch.release(self.unsent);
        }
    }
}

impl Reservation {
    /// Claims these tasks for this process, all of them or none, if local dispatch is open and they are due and without
    /// a unique key.
    pub(crate) fn claim_for_this_process(shared: &Arc<Shared>, tasks: &mut [Task]) -> Option<Self> {
        let now = shared.parts.clock.now();
        let plain = |task: &Task| task.run_at <= now && task.unique_key.is_none();
        let claimer = shared.dispatch.claimer()?;
        if shared.closing.is_cancelled() || shared.parts.limits.are_set() || !tasks.iter().all(plain) {
            return None;
        }
        let monotonic = shared.parts.clock.monotonic();
        let soon =
            shared.parts.workers as f64 * shared.attempt_duration.attempts_in(DISPATCH_WINDOW, monotonic);
        let capacity = || shared.slots.available_permits() + (soon as usize).min(MAX_QUEUED);
        if !shared.dispatch.reserve(tasks.len(), capacity) {
            return None;
        }
        let lease_until = later(now, shared.parts.lease);
        for task in tasks.iter_mut() {
            // They are pending and due, so none is refused.
            let _ = task.claim(shared.worker, lease_until, now);
        }
        let tasks: Vec<TaskId> = tasks.iter().map(|task| task.id).collect();
        Some(Self { shared: shared.clone(), unsent: tasks.len(), tasks, claimer })
    }

    /// Sends the claims of the stored tasks to the claimer. The submitter gets the tasks as they were before their
    /// claim.
    pub(crate) async fn dispatch(mut self, stored: &mut [Task]) {
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
            let back = |claim: &Claim| OutcomeRecord { claim: claim.key(), outcome: Outcome::Released };
            let finished = claims.iter().map(back).collect();
            if let Err(e) = shared.parts.queue.record_outcomes(finished, shared.parts.clock.now()).await {
                tracing::warn!(error = %e, tasks = claims.len(), "release failed; tasks wait until their leases expire");
            }
        }
    }
}
