//! Wake-ups of the subscribers of this process, and those that other processes have not been sent yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use sutazai_core::domain::TaskId;
use sutazai_core::ports::{Announcer, CommitEffects, WakeUp};
use tokio::sync::{Notify, broadcast};

/// Wake-ups that a subscriber may lag behind before it misses some and has to read everything again.
const SUBSCRIBER_CAPACITY: usize = 4_096;
/// Tasks that may wait for being sent; readers of further ones find out by polling.
const MAX_UNSENT_TASKS: usize = 20_000;

/// Announces committed changes to this process at once, and keeps them for the other processes.
#[derive(Debug)]
pub(super) struct WakeUps {
    announcer: Announcer,
    unsent: Mutex<Unsent>,
    some_unsent: Notify,
}

/// Wake-ups that were not sent to other processes yet.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// True if a task may be due.
    pub(super) queue: bool,
    /// Tasks with new events; some may be listed twice.
    pub(super) tasks: Vec<TaskId>,
}

impl WakeUps {
    pub(super) fn new() -> Self {
        Self {
            announcer: Announcer::new(SUBSCRIBER_CAPACITY),
            unsent: Mutex::default(),
            some_unsent: Notify::new(),
        }
    }

    /// Subscribes to all wake-ups from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.announcer.subscribe()
    }

    /// Announces a change of this process after its commit. Other processes learn of it within some
    /// milliseconds.
    pub(super) fn announce(&self, effects: CommitEffects) {
        if !effects.wake_ups.is_empty() {
            let mut unsent = self.lock();
            for wake_up in &effects.wake_ups {
                match wake_up {
                    WakeUp::Queue => unsent.queue = true,
                    WakeUp::Task(id) if unsent.tasks.len() < MAX_UNSENT_TASKS => unsent.tasks.push(*id),
                    WakeUp::Task(_) => {}
                }
            }
            self.some_unsent.notify_one();
        }
        self.announcer.announce(effects);
    }

    /// Wakes the subscribers of this process about a change of another.
    pub(super) fn wake(&self, wake_up: WakeUp) {
        self.announcer.wake(wake_up);
    }

    /// Waits until there are unsent wake-ups, and takes them.
    pub(super) async fn take_unsent(&self) -> Unsent {
        self.some_unsent.notified().await;
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
