//! Reorder buffer: restores the order of sequence numbers among the events of each task.
//!
//! In the event log two events of one task may be swapped if two processes wrote them concurrently, for example a
//! report of the agent and a cancellation. Both become visible at the same moment, so a reader at the end of the log
//! has both. Until then an event whose predecessor has not been seen is buffered.

use std::collections::{BTreeMap, HashMap};

use crate::domain::{EventKind, EventLogEntry, EventOffset, TaskId};

/// Number of tracked tasks above which all are forgotten; the next event of each then counts as in buffer.
const MAX_TRACKED_TASKS: usize = 100_000;

/// Latest sequence number of each unfinished task, and the buffered events.
#[derive(Debug, Default)]
pub(super) struct ReorderBuffer {
    latest: HashMap<TaskId, u64>,
    waiting: BTreeMap<EventOffset, EventLogEntry>,
}

impl ReorderBuffer {
    /// Returns the events that may be published, in buffer. `end` means that the page reached the end of the log.
    pub(super) fn arrange(&mut self, page: Vec<EventLogEntry>, end: bool) -> Vec<EventLogEntry> {
        if self.latest.len() > MAX_TRACKED_TASKS && self.waiting.is_empty() {
            self.latest.clear();
        }
        let mut all: Vec<EventLogEntry> =
            std::mem::take(&mut self.waiting).into_values().chain(page).collect();
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

    /// Returns the position up to which all events were returned, given that the log was read up to `read`.
    pub(super) fn given_up_to(&self, read: EventOffset) -> EventOffset {
        self.waiting.keys().next().map_or(read, |first| EventOffset(first.0.saturating_sub(1)))
    }

    /// Keeps the positions that the events of each task occupy, and sorts the events within them.
    fn sort_each_task(&self, all: &mut [EventLogEntry]) {
        let mut places: HashMap<TaskId, Vec<usize>> = HashMap::new();
        for (place, entry) in all.iter().enumerate() {
            places.entry(entry.event.task_id).or_default().push(place);
        }
        for places in places.into_values().filter(|places| places.len() > 1) {
            let mut entries: Vec<EventLogEntry> = places.iter().map(|place| all[*place].clone()).collect();
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

    fn entry(position: u128, task_id: TaskId, sequence: u64) -> EventLogEntry {
        let kind = EventKind::text("");
        let event = TaskEvent { task_id, sequence, at: DateTime::UNIX_EPOCH, kind };
        EventLogEntry { position: EventOffset(position), owner: None, event }
    }

    fn sequences(entries: &[EventLogEntry], task: TaskId) -> Vec<u64> {
        entries.iter().filter(|e| e.event.task_id == task).map(|e| e.event.sequence).collect()
    }

    #[test]
    fn swapped_events_are_reordered() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut buffer = ReorderBuffer::default();
        let page = vec![entry(1, one, 2), entry(2, two, 1), entry(3, one, 1), entry(4, two, 2)];
        let ready = buffer.arrange(page, false);
        assert_eq!((sequences(&ready, one), sequences(&ready, two)), (vec![1, 2], vec![1, 2]));
        assert_eq!(buffer.given_up_to(EventOffset(4)), EventOffset(4));
    }

    #[test]
    fn early_event_is_buffered_across_pages() {
        let (one, two) = (TaskId::new(), TaskId::new());
        let mut buffer = ReorderBuffer::default();
        buffer.arrange(vec![entry(1, one, 1)], false);
        let ready = buffer.arrange(vec![entry(2, one, 3), entry(3, two, 1)], false);
        assert_eq!((sequences(&ready, one), sequences(&ready, two)), (vec![], vec![1]));
        assert_eq!(buffer.given_up_to(EventOffset(3)), EventOffset(1));
        let ready = buffer.arrange(vec![entry(4, one, 2), entry(5, one, 4)], true);
        assert_eq!(sequences(&ready, one), [2, 3, 4]);
        assert_eq!(buffer.given_up_to(EventOffset(5)), EventOffset(5));
    }

    #[test]
    fn missing_event_is_skipped_at_the_end_of_the_log() {
        let one = TaskId::new();
        let mut buffer = ReorderBuffer::default();
        buffer.arrange(vec![entry(1, one, 1)], false);
        assert_eq!(sequences(&buffer.arrange(vec![entry(2, one, 3)], true), one), [3]);
    }

    #[test]
    fn ended_task_is_forgotten() {
        let one = TaskId::new();
        let mut buffer = ReorderBuffer::default();
        let mut last = entry(2, one, 2);
        last.event.kind = EventKind::Status { status: TaskStatus::Completed, attempt: 1, error: None };
        buffer.arrange(vec![entry(1, one, 1), last], true);
        assert!(buffer.latest.is_empty());
    }
}
