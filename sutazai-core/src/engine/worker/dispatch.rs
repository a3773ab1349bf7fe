//! Local dispatch: tasks submitted while none are waiting go straight to the workers of this process. They are stored
//! and claimed in one transaction, so they start after one commit instead of two.
//!
//! Beyond the free workers, tasks are accepted only if attempts are so short that no other process could start them
//! earlier. With concurrency limits set, every task takes the way through the store, because only the store can count
//! across processes.
//!
//! The alternative is to store every task as pending and to let the claimers of all processes compete for it. It costs a
//! second commit before the task starts, and is right when fairness matters more than latency: as soon as due tasks
//! wait in the store, local dispatch closes, so that a new task does not overtake those of other owners.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, mpsc};

use crate::domain::Claim;

/// Channel to the claimer, with the counts that decide on local dispatch.
#[derive(Debug, Default)]
pub(crate) struct LocalDispatch {
    claimer: OnceLock<mpsc::UnboundedSender<Vec<Claim>>>,
    /// Allows local dispatch, while the claimer knows of no due tasks in the store.
    open: AtomicBool,
    /// Number of tasks that wait here for a worker, or will come from the store for a free one.
    waiting: AtomicUsize,
    /// Number of tasks that are being submitted, or are on their way to the claimer.
    reserved: AtomicUsize,
    /// Notified when a reservation is released without a task.
    released: Notify,
}

impl LocalDispatch {
    /// Opens the channel to the claimer; once per engine.
    pub(crate) fn begin(&self) -> mpsc::UnboundedReceiver<Vec<Claim>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // There is only one claimer, so the first call sets the sender.
        let _ = self.claimer.set(sender);
        receiver
    }

    /// Returns the channel to the claimer while local dispatch is open.
    pub(crate) fn claimer(&self) -> Option<mpsc::UnboundedSender<Vec<Claim>>> {
        self.claimer.get().filter(|_| self.open.load(Ordering::Relaxed)).cloned()
    }

    /// Sets whether the store has no due tasks that the claimer knows of.
    pub(crate) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Relaxed);
    }

    /// Sets the number of tasks that wait here for a worker, or will come from the store for a free one.
    pub(crate) fn set_waiting(&self, waiting: usize) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Reserves capacity for all of these tasks, if there is enough of it besides what waits and what is reserved.
    pub(crate) fn reserve(&self, tasks: usize, capacity: impl Fn() -> usize) -> bool {
        // A task is first reserved, then waits, then holds a permit. Reading the counters in this order may count a
        // task twice, but never misses one.
        let more = |reserved: usize| {
            let waiting = self.waiting.load(Ordering::SeqCst);
            Some(reserved + tasks).filter(|all| all + waiting <= capacity())
        };
        self.reserved.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).is_ok()
    }

    /// Ends the reservations of tasks that have arrived. The caller counts them as waiting first, so that they are
    /// counted at every moment.
    pub(crate) fn arrived(&self, tasks: usize) {
        self.reserved.fetch_sub(tasks, Ordering::SeqCst);
    }

    /// Ends the reservations of tasks that will not arrive, and notifies the claimer.
    pub(crate) fn release(&self, tasks: usize) {
        self.reserved.fetch_sub(tasks, Ordering::SeqCst);
        self.released.notify_one();
    }

    /// Returns the number of reservations.
    pub(crate) fn reserved(&self) -> usize {
        self.reserved.load(Ordering::Relaxed)
    }

    /// Waits until a reservation is released without a task.
    pub(crate) async fn released(&self) {
        self.released.notified().await;
    }
}
