//! Fair queue in front of the model, which decides which request is next.

use std::collections::VecDeque;

use crate::domain::UserId;

/// Priority class of a request to the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PriorityClass {
    /// A person or a program waits for the answer: first in the queue, under the limits of its caller.
    Interactive,
    /// Part of a task: when no interactive request is queued, and after every third one otherwise.
    Background,
}

/// Tenant that a request counts for; `None` is the embedder.
pub(super) type Tenant = Option<UserId>;

/// Queue entry of one request, waiting or running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct QueueEntry(pub(super) u64);

/// Number of consecutive interactive requests after which a waiting background request is granted.
const MAX_CONSECUTIVE_INTERACTIVE: u32 = 3;

/// Queued requests. Each class is round-robin across users, however many requests each of them has. Interactive
/// requests go first, but every fourth grant is a background request's if one waits: strict priority would starve tasks
/// as long as people keep asking.
#[derive(Debug, Clone, Default)]
pub(super) struct FairQueue {
    interactive: ClassQueue,
    background: ClassQueue,
    in_a_row: u32,
}

impl FairQueue {
    /// Appends a request to the queue of its user.
    pub(super) fn push(&mut self, tenant: Tenant, class: PriorityClass, entry: QueueEntry) {
        match class {
            PriorityClass::Interactive => self.interactive.push(tenant, entry),
            PriorityClass::Background => self.background.push(tenant, entry),
        }
    }

    /// Removes and returns the next request whose tenant `may` have a slot now. The others keep their place.
    pub(super) fn pop(&mut self, may: impl Fn(Tenant) -> bool) -> Option<(Tenant, QueueEntry)> {
        let background_is_next = self.interactive.is_empty() || self.in_a_row >= MAX_CONSECUTIVE_INTERACTIVE;
        if !background_is_next && let Some(next) = self.interactive.pop(&may) {
            // Consecutive interactive grants count only while a background request waits.
            self.in_a_row = if self.background.is_empty() { 0 } else { self.in_a_row + 1 };
            return Some(next);
        }
        if let Some(next) = self.background.pop(&may) {
            self.in_a_row = 0;
            return Some(next);
        }
        self.interactive.pop(&may)
    }

    /// Removes a request that no longer waits; returns whether it was queued.
    pub(super) fn remove(&mut self, entry: QueueEntry) -> bool {
        self.interactive.remove(entry) || self.background.remove(entry)
    }

    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.background.len()
    }
}

/// Round-robin across users, each with a queue of requests.
#[derive(Debug, Clone, Default)]
struct ClassQueue(VecDeque<(Tenant, VecDeque<QueueEntry>)>);

impl ClassQueue {
    fn push(&mut self, tenant: Tenant, entry: QueueEntry) {
        match self.0.iter_mut().find(|(user, _)| *user == tenant) {
            Some((_, entries)) => entries.push_back(entry),
            None => self.0.push_back((tenant, VecDeque::from([entry]))),
        }
    }

    fn pop(&mut self, may: impl Fn(Tenant) -> bool) -> Option<(Tenant, QueueEntry)> {
        let next = self.0.iter().position(|(tenant, _)| may(*tenant))?;
        let (tenant, mut entries) = self.0.remove(next)?;
        let entry = entries.pop_front()?;
        if !entries.is_empty() {
            self.0.push_back((tenant, entries));
        }
        Some((tenant, entry))
    }

    fn remove(&mut self, entry: QueueEntry) -> bool {
        let before = self.len();
        self.0.iter_mut().for_each(|(_, entries)| entries.retain(|other| *other != entry));
        self.0.retain(|(_, entries)| !entries.is_empty());
        self.len() < before
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn len(&self) -> usize {
        self.0.iter().map(|(_, entries)| entries.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(queue: &mut FairQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.pop(|_| true)).map(|(_, entry)| entry.0).collect()
    }

    #[test]
    fn queue_is_round_robin_across_users() {
        let [greedy, modest, late] = [0; 3].map(|_| Some(UserId::new()));
        let mut queue = FairQueue::default();
        for entry in 1..=4 {
            queue.push(greedy, PriorityClass::Interactive, QueueEntry(entry));
        }
        queue.push(modest, PriorityClass::Interactive, QueueEntry(11));
        queue.push(modest, PriorityClass::Interactive, QueueEntry(12));
        queue.push(late, PriorityClass::Interactive, QueueEntry(21));
        assert_eq!(queue.len(), 7);
        assert_eq!(order(&mut queue), [1, 11, 21, 2, 12, 3, 4]);
    }

    #[test]
    fn interactive_requests_go_first_without_starving_tasks() {
        let mut queue = FairQueue::default();
        for entry in 1..=2 {
            queue.push(None, PriorityClass::Background, QueueEntry(100 + entry));
        }
        for entry in 1..=8 {
            queue.push(None, PriorityClass::Interactive, QueueEntry(entry));
        }
        assert_eq!(order(&mut queue), [1, 2, 3, 101, 4, 5, 6, 102, 7, 8]);
    }

    #[test]
    fn grants_without_a_waiting_task_do_not_count() {
        let mut queue = FairQueue::default();
        for entry in 1..=5 {
            queue.push(None, PriorityClass::Interactive, QueueEntry(entry));
        }
        for expected in 1..=3 {
            assert_eq!(queue.pop(|_| true), Some((None, QueueEntry(expected))));
        }
        queue.push(None, PriorityClass::Background, QueueEntry(100));
        assert_eq!(order(&mut queue), [4, 5, 100]);
    }

    #[test]
    fn user_at_the_slot_limit_is_skipped_and_keeps_the_position() {
        let [greedy, modest] = [0; 2].map(|_| Some(UserId::new()));
        let mut queue = FairQueue::default();
        queue.push(greedy, PriorityClass::Interactive, QueueEntry(1));
        queue.push(greedy, PriorityClass::Background, QueueEntry(2));
        queue.push(modest, PriorityClass::Background, QueueEntry(3));
        assert_eq!(queue.pop(|tenant| tenant != greedy), Some((modest, QueueEntry(3))));
        assert_eq!(queue.pop(|tenant| tenant != greedy), None);
        queue.push(modest, PriorityClass::Interactive, QueueEntry(4));
        assert_eq!(order(&mut queue), [1, 4, 2]);
    }

    #[test]
    fn removed_request_is_skipped() {
        let mut queue = FairQueue::default();
        for entry in 1..=3 {
            queue.push(None, PriorityClass::Background, QueueEntry(entry));
        }
        assert!(queue.remove(QueueEntry(2)));
        assert!(!queue.remove(QueueEntry(2)));
        assert_eq!(order(&mut queue), [1, 3]);
    }
}
