//! Waiters for sets of tasks, which callers ask for one task after another.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sutazai::{Error, Result};
use tokio::sync::Mutex as AsyncMutex;

/// Waiters by their numbers.
#[derive(Debug)]
pub(crate) struct Watches<W> {
    by_number: Mutex<HashMap<u64, Arc<AsyncMutex<W>>>>,
    next: AtomicU64,
}

impl<W> Default for Watches<W> {
    fn default() -> Self {
        Self { by_number: Mutex::default(), next: AtomicU64::new(1) }
    }
}

impl<W> Watches<W> {
    /// Keeps a waiter and returns its number.
    pub(crate) fn add(&self, waiter: W) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, Arc::new(AsyncMutex::new(waiter)));
        number
    }

    /// Returns the waiter with this number.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub(crate) fn get(&self, number: u64) -> Result<Arc<AsyncMutex<W>>> {
        self.lock().get(&number).cloned().ok_or_else(|| Error::not_found(format!("watch {number}")))
    }

    /// Drops the waiter with this number.
    pub(crate) fn remove(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Drops the waiters of all callers.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<AsyncMutex<W>>>> {
        // A poisoned lock is safe to use: every change of the map is a single insert or remove.
        self.by_number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
