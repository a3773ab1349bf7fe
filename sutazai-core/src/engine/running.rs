//! What this process holds: every claim from the moment it is taken until its outcome is recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::{Claim, ClaimKey, TaskId};

/// Why an attempt is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    /// Somebody asked for it.
    CancelRequested,
    /// Another worker may hold it by now: record nothing.
    Lost,
    /// This process ends: hand it back.
    Shutdown,
}

/// How to stop one attempt. The first reason stays.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl Stop {
    /// Fires when the attempt is to stop.
    pub(super) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Why, once it is to stop.
    pub(super) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    fn ask(&self, reason: StopReason) {
        // A second reason changes nothing: the first has already been acted on.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }
}

#[derive(Debug)]
struct Held {
    key: ClaimKey,
    /// When its lease runs out, by the steady reading of this process's clock.
    lease_until: Duration,
    stop: Stop,
}

/// Every claim that this process holds, by its task.
#[derive(Debug, Default)]
pub(super) struct Running {
    held: Mutex<HashMap<TaskId, Held>>,
}

impl Running {
    /// Adds a claim whose lease lasts until then and gives the means to stop it. An earlier attempt at the same task that
    /// still runs here has lost it.
    pub(super) fn add(&self, claim: &Claim, lease_until: Duration) -> Stop {
        let stop = Stop::default();
        let held = Held { key: claim.key(), lease_until, stop: stop.clone() };
        if let Some(earlier) = self.lock().insert(claim.task.id, held) {
            earlier.stop.ask(StopReason::Lost);
        }
        stop
    }

    /// Forgets a claim; a later claim of the same task stays.
    pub(super) fn remove(&self, key: &ClaimKey) {
        let mut held = self.lock();
        if held.get(&key.task).is_some_and(|held| held.key == *key) {
            held.remove(&key.task);
        }
    }

    /// Whether this claim is still held.
    pub(super) fn holds(&self, key: &ClaimKey) -> bool {
        self.lock().get(&key.task).is_some_and(|held| held.key == *key)
    }

    /// Every claim that is held.
    pub(super) fn keys(&self) -> Vec<ClaimKey> {
        self.lock().values().map(|held| held.key).collect()
    }

    /// Notes that a lease was prolonged.
    pub(super) fn prolonged(&self, key: &ClaimKey, until: Duration) {
        if let Some(held) = self.lock().get_mut(&key.task).filter(|held| held.key == *key) {
            held.lease_until = until;
        }
    }

    /// The claims whose lease will have run out by then as far as this process knows.
    pub(super) fn run_out(&self, by: Duration) -> Vec<ClaimKey> {
        self.lock().values().filter(|held| held.lease_until <= by).map(|held| held.key).collect()
    }

    /// Asks the attempt under this claim to stop, if it is here.
    pub(super) fn stop(&self, key: &ClaimKey, reason: StopReason) {
        if let Some(held) = self.lock().get(&key.task).filter(|held| held.key == *key) {
            held.stop.ask(reason);
        }
    }

    /// Asks whatever attempt at this task is here to stop, because somebody wants it.
    pub(super) fn cancel(&self, task: TaskId) {
        if let Some(held) = self.lock().get(&task) {
            held.stop.ask(StopReason::CancelRequested);
        }
    }

    /// Asks every attempt to stop.
    pub(super) fn stop_all(&self, reason: StopReason) {
        self.lock().values().for_each(|held| held.stop.ask(reason));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TaskId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
