//! Puts the events of each task into the order of their sequence.
//!
//! In the feed two events of one task may stand the other way round where two processes wrote at the same time: the report
//! of an agent and the cancellation, say. Both come into the feed at the same moment, so whoever has read to its end has
//! both. Until then an event whose predecessor has not been seen waits for it.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{EventKind, EventPosition, FeedEvent, TaskId};

/// So many tasks are remembered; with more, all are forgotten, and what comes next counts as in order.
const MANY: usize = 100_000;

/// What has been seen of each task that has not ended, and what waits.
#[derive(Debug, Default)]
pub(super) struct Order {
    latest: HashMap<TaskId, u64>,
    waiting: BTreeMap<EventPosition, FeedEvent>,
}

impl Order {
    /// The events that may be passed on, in order. `end` says that the feed had no more.
    pub(super) fn arrange(&mut self, page: Vec<FeedEvent>, end: bool) -> Vec<FeedEvent> {
        if self.latest.len() > MANY && self.waiting.is_empty() {
            self.latest.clear();
        }
        let mut all: Vec<FeedEvent> = std::mem::take(&mut self.waiting).into_values().chain(page).collect();
        self.sort_each_task(&mut all);
        let mut ready = Vec::with_capacity(all.len());
        for entry in all {
            let (task, sequence) = (entry.event.task_id, entry.event.sequence);
            let follows = self.latest.get(&task).is_none_or(|latest| sequence <= latest + 1);
            if !follows && !end {
                self.waiting.insert(entry.position, entry);
                continue;
            }
            match &entry.event.kind {
                EventKind::Status { status, .. } if status.has_ended() => self.latest.remove(&task),
                _ => self.latest.insert(task, sequence),
            };
            ready.push(entry);
        }
        ready
    }

    /// Everything up to this position has been given, when what was read last stands at `read`.
    pub(super) fn given_up_to(&self, read: EventPosition) -> EventPosition {
        self.waiting.keys().next().map_or(read, |first| EventPosition(first.0.saturating_sub(1)))
    }

    /// Leaves the tasks where they stand among each other, and puts the events of each into order.
    fn sort_each_task(&self, all: &mut [FeedEvent]) {
        let mut places: HashMap<TaskId, Vec<usize>> = HashMap::new();
        for (place, entry) in all.iter().enumerate() {
            places.entry(entry.event.task_id).or_default().push(place);
        }
        for places in places.into_values().filter(|places| places.len() > 1) {
            let mut entries: Vec<FeedEvent> = places.iter().map(|place| all[*place].clone()).collect();
            if entries.is_sorted_by_key(|entry| entry.event.sequence) {
                continue;
            }
            entries.sort_by_key(|entry| entry.event.sequence);
            for (place, entry) in places.into_iter().zip(entries) {
                all[place] = entry;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::domain::{TaskEvent, TaskStatus};

    fn entry(position: u128, task_id: TaskId, sequence: u64) -> FeedEvent {
        let kind = EventKind::Text { text: String::new() };
        let event = TaskEvent { task_id, sequence, at: DateTime::UNIX_EPOCH, kind };
        FeedEvent { position: EventPosition(position), owner: None, event }
    }

    fn sequences(entries: &[FeedEvent], task: TaskId) -> Vec<u64> {
        entries.iter().filter(|e| e.event.task_id == task).map(|e| e.event.sequence).collect()
    }

    #[test]
    fn what_stands_the_other_way_round_is_put_right() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut order = Order::default();
        let page = vec![entry(1, one, 2), entry(2, two, 1), entry(3, one, 1), entry(4, two, 2)];
        let ready = order.arrange(page, false);
        assert_eq!((sequences(&ready, one), sequences(&ready, two)), (vec![1, 2], vec![1, 2]));
        assert_eq!(order.given_up_to(EventPosition(4)), EventPosition(4));
    }

    #[test]
    fn what_comes_before_its_predecessor_waits_over_the_end_of_a_page() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut order = Order::default();
        order.arrange(vec![entry(1, one, 1)], false);
        let ready = order.arrange(vec![entry(2, one, 3), entry(3, two, 1)], false);
        assert_eq!((sequences(&ready, one), sequences(&ready, two)), (vec![], vec![1]));
        assert_eq!(order.given_up_to(EventPosition(3)), EventPosition(1));
        let ready = order.arrange(vec![entry(4, one, 2), entry(5, one, 4)], true);
        assert_eq!(sequences(&ready, one), [2, 3, 4]);
        assert_eq!(order.given_up_to(EventPosition(5)), EventPosition(5));
    }

    #[test]
    fn what_was_deleted_is_not_waited_for() {
        let one = TaskId::new();
        let mut order = Order::default();
        order.arrange(vec![entry(1, one, 1)], false);
        assert_eq!(sequences(&order.arrange(vec![entry(2, one, 3)], true), one), [3]);
    }

    #[test]
    fn a_task_that_has_ended_takes_no_room() {
        let one = TaskId::new();
        let mut order = Order::default();
        let mut last = entry(2, one, 2);
        last.event.kind = EventKind::Status { status: TaskStatus::Completed, attempt: 1, error: None };
        order.arrange(vec![entry(1, one, 1), last], true);
        assert!(order.latest.is_empty());
    }
}
