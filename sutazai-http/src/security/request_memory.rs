//! Bounds the memory that the bodies and responses of concurrent requests occupy, in total and for each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sutazai_core::domain::UserId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::body_limit::BodyLimit;

/// Memory budget of all requests, as semaphores with one permit per byte.
#[derive(Debug)]
pub(crate) struct RequestMemory {
    all: Arc<Semaphore>,
    /// Budget of one user in bytes, so that one user cannot exhaust the total.
    share: usize,
    of_users: Mutex<HashMap<UserId, Weak<Semaphore>>>,
}

/// Memory budget that applies to the requests of one caller.
#[derive(Debug, Clone)]
pub(crate) struct CallerMemory {
    all: Arc<Semaphore>,
    own: Option<Arc<Semaphore>>,
}

/// Acquired memory, which is released when this value is dropped.
#[derive(Debug)]
pub(crate) struct AcquiredMemory {
    of_all: OwnedSemaphorePermit,
    own: Option<OwnedSemaphorePermit>,
}

impl RequestMemory {
    /// Creates a budget of `bytes` in total and half of it for each user, but always enough for the largest body.
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        let share = (bytes / 2).max(BodyLimit::UPLOAD.memory()).min(bytes);
        Self { all: Arc::new(Semaphore::new(bytes)), share, of_users: Mutex::default() }
    }

    /// Returns the budget for requests of this user. Callers without a user are bounded by the total only.
    pub(crate) fn of(&self, user: Option<UserId>) -> CallerMemory {
        CallerMemory { all: self.all.clone(), own: user.map(|user| self.share_of(user)) }
    }

    fn share_of(&self, user: UserId) -> Arc<Semaphore> {
        let mut of_users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = of_users.get(&user).and_then(Weak::upgrade) {
            return known;
        }
        of_users.retain(|_, share| share.strong_count() > 0);
        let new = Arc::new(Semaphore::new(self.share));
        of_users.insert(user, Arc::downgrade(&new));
        new
    }
}

impl CallerMemory {
    /// Acquires `bytes`; `None` when the user's or the total budget is exhausted. It does not wait: a waiting request
    /// would hold the memory that it has already acquired.
    pub(crate) fn take(&self, bytes: usize) -> Option<AcquiredMemory> {
        let permits = u32::try_from(bytes).ok()?;
        let own = match &self.own {
            Some(own) => Some(own.clone().try_acquire_many_owned(permits).ok()?),
            None => None,
        };
        let of_all = self.all.clone().try_acquire_many_owned(permits).ok()?;
        Some(AcquiredMemory { of_all, own })
    }
}

impl AcquiredMemory {
    /// Adds memory that was acquired from the same budget.
    pub(crate) fn merge(&mut self, more: Self) {
        self.of_all.merge(more.of_all);
        if let (Some(own), Some(more)) = (&mut self.own, more.own) {
            own.merge(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_takes_at_most_half_and_dropped_memory_is_released() {
        let memory = RequestMemory::new(200_000_000);
        let [ada, eve] = [UserId::new(), UserId::new()].map(|user| memory.of(Some(user)));
        let mut taken = eve.take(60_000_000).unwrap();
        taken.merge(eve.take(40_000_000).unwrap());
        assert!(eve.take(1).is_none(), "half of it is taken");
        let other = ada.take(100_000_000).unwrap();
        assert!(memory.of(None).take(1).is_none(), "all of it is taken");
        drop(taken);
        assert!(eve.take(100_000_000).is_some() && ada.take(1).is_none());
        drop(other);
        assert!(ada.take(100_000_000).is_some());
    }

    #[test]
    fn largest_body_fits_a_small_budget_and_idle_users_are_evicted() {
        let memory = RequestMemory::new(64_000_000);
        assert!(memory.of(Some(UserId::new())).take(BodyLimit::UPLOAD.memory()).is_some());
        assert!(RequestMemory::new(1_000).of(Some(UserId::new())).take(1_001).is_none());
        let _last = memory.of(Some(UserId::new()));
        assert_eq!(memory.of_users.lock().unwrap().len(), 1);
    }
}
