//! In-flight claims of this process: each from its claim until its outcome is recorded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::domain::{Claim, ClaimKey, InstanceId, Task, TaskId};

/// Reason for stopping an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// Cancellation of the task was requested.
    CancelRequested,
    /// Another instance may hold the task: nothing may be recorded.
    Lost,
    /// The process shuts down: the claim is released.
    Shutdown,
}

/// Cancellation handle of one attempt. The first reason wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancellationHandle {
    token: CancellationToken,
    reason: Arc<OnceLock<StopReason>>,
}

impl CancellationHandle {
    /// Returns the token that is cancelled when the attempt must stop.
    pub(crate) fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Returns the reason, once the attempt must stop.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.get().copied()
    }

    fn ask(&self, reason: StopReason) {
        // Later reasons are ignored, because the first has already been acted on.
        let _ = self.reason.set(reason);
        self.token.cancel();
    }
}

#[derive(Debug)]
struct Held {
    key: ClaimKey,
    /// Expiry of the lease, as a reading of this process's monotonic clock.
    lease_until: Duration,
    stop: CancellationHandle,
}

#[derive(Debug, Default)]
struct Claims {
    held: HashMap<TaskId, Held>,
    /// Cancelled claims that the store has given to this process and that have not arrived here yet, with the expiry of
    /// their lease.
    cancelled: HashMap<ClaimKey, DateTime<Utc>>,
}

/// In-flight claims of this process, by their task.
#[derive(Debug, Default)]
pub(crate) struct InFlightClaims {
    claims: Mutex<Claims>,
}

impl InFlightClaims {
    /// Adds a claim whose lease is valid until `lease_until` and returns its cancellation handle. An earlier attempt at
    /// the same task that still runs here has lost its claim and is stopped.
    pub(crate) fn add(&self, claim: &Claim, lease_until: Duration) -> CancellationHandle {
        let stop = CancellationHandle::default();
        let key = claim.key();
        let held = Held { key, lease_until, stop: stop.clone() };
        let mut claims = self.lock();
        if claims.cancelled.remove(&key).is_some() {
            stop.ask(StopReason::CancelRequested);
        }
        if let Some(earlier) = claims.held.insert(claim.task.id, held) {
            earlier.stop.ask(StopReason::Lost);
        }
        stop
    }

    /// Removes a claim; a later claim of the same task stays.
    pub(crate) fn remove(&self, key: &ClaimKey) {
        let mut claims = self.lock();
        if claims.held.get(&key.task).is_some_and(|held| held.key == *key) {
            claims.held.remove(&key.task);
        }
    }

    /// Returns whether this claim is still held.
    pub(crate) fn holds(&self, key: &ClaimKey) -> bool {
        self.lock().held.get(&key.task).is_some_and(|held| held.key == *key)
    }

    /// Returns the keys of all held claims.
    pub(crate) fn keys(&self) -> Vec<ClaimKey> {
        self.lock().held.values().map(|held| held.key).collect()
    }

    /// Records the new expiry of a renewed lease.
    pub(crate) fn renewed(&self, key: &ClaimKey, until: Duration) {
        if let Some(held) = self.lock().held.get_mut(&key.task).filter(|held| held.key == *key) {
            held.lease_until = until;
        }
    }

    /// Returns the claims whose lease expires by then, as far as this process knows.
    pub(crate) fn expiring_by(&self, by: Duration) -> Vec<ClaimKey> {
        self.lock().held.values().filter(|held| held.lease_until <= by).map(|held| held.key).collect()
    }

    /// Stops the attempt under this claim, if it runs here.
    pub(crate) fn stop(&self, key: &ClaimKey, reason: StopReason) {
        if let Some(held) = self.lock().held.get(&key.task).filter(|held| held.key == *key) {
            held.stop.ask(reason);
        }
    }

    /// Stops the attempt at this task, as the store returned it, because its cancellation was requested. An attempt that
    /// `worker`, the instance of this process, has claimed and that has not arrived here is stopped when it arrives.
    pub(crate) fn cancel(&self, task: &Task, worker: InstanceId, now: DateTime<Utc>) {
        let mut claims = self.lock();
        if let Some(held) = claims.held.get(&task.id) {
            held.stop.ask(StopReason::CancelRequested);
        } else if let Some(until) = task.lease_until.filter(|_| task.worker == Some(worker)) {
            // A claim whose answer was lost never arrives: it is forgotten with its lease.
            claims.cancelled.retain(|_, until| *until > now);
            claims.cancelled.insert(ClaimKey { task: task.id, attempt: task.attempt, worker }, until);
        }
    }

    /// Stops all attempts with this reason.
    pub(crate) fn stop_all(&self, reason: StopReason) {
        self.lock().held.values().for_each(|held| held.stop.ask(reason));
    }

    fn lock(&self) -> MutexGuard<'_, Claims> {
        // A poisoned lock is safe to use: every change of a map is a single insert, remove or assignment.
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
