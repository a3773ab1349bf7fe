//! Announcement of committed changes of tasks, which all task stores share: the one place that counts entered statuses.

use tokio::sync::broadcast;

use super::event_log::WakeUp;
use crate::domain::TaskStatus;

/// Effects of a change of tasks that others learn of after its commit.
#[derive(Debug, Clone, Default)]
pub struct CommitEffects {
    /// Wake-ups of the subscribers, in order.
    pub wake_ups: Vec<WakeUp>,
    /// Statuses that tasks of these agents have entered.
    pub entered: Vec<(String, TaskStatus)>,
}

impl CommitEffects {
    /// Adds the effects of a later change.
    pub fn append(&mut self, mut later: Self) {
        self.wake_ups.append(&mut later.wake_ups);
        self.entered.append(&mut later.entered);
    }
}

/// Subscribers of the changes of a task store. Clones share the subscribers.
#[derive(Debug, Clone)]
pub struct Announcer {
    subscribers: broadcast::Sender<WakeUp>,
}

impl Announcer {
    /// Creates an announcer whose subscribers miss wake-ups once they lag by more than `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self { subscribers: broadcast::Sender::new(capacity) }
    }

    /// Subscribes to all wake-ups from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<WakeUp> {
        self.subscribers.subscribe()
    }

    /// Announces a change of this process: counts the entered statuses in `tasks_total` and wakes the subscribers.
    ///
    /// Each store calls it once per change, after the commit, so each change is counted once even if several processes
    /// share a database.
    pub fn announce(&self, effects: CommitEffects) {
        for (agent, status) in effects.entered {
            metrics::counter!("tasks_total", "agent" => agent, "status" => status.as_str()).increment(1);
        }
        effects.wake_ups.into_iter().for_each(|wake_up| self.wake(wake_up));
    }

    /// Wakes the subscribers about a change of another process, which has counted it.
    pub fn wake(&self, wake_up: WakeUp) {
        // Sending fails only without subscribers, and later ones read the store.
        let _ = self.subscribers.send(wake_up);
    }
}
