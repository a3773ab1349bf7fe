//! Read-only queries of the queue's state: pages, counts, events and the event log.

use std::convert::Infallible;
use std::ops::Bound;

use chrono::{DateTime, Utc};

use super::Queue;
use crate::domain::{
    Backlog, EventLogEntry, EventOffset, MAX_AHEAD, Page, Task, TaskEvent, TaskId, TaskQuery, TaskStatistics,
    TaskSummary, UserId,
};
use crate::memory::listing::newest_first;

impl Queue {
    pub(in crate::memory::task_store) fn list(&self, query: &TaskQuery) -> Page<Task, TaskId> {
        newest_first(&self.tasks, query.page, |task| query.matches(task), |task| task, Task::content_bytes)
    }

    pub(in crate::memory::task_store) fn summaries(&self, query: &TaskQuery) -> Page<TaskSummary, TaskId> {
        let bytes = |task: &Task| task.title.len() + task.description.len();
        newest_first(&self.tasks, query.page, |task| query.matches(task), |task| task, bytes)
            .map(TaskSummary::from)
    }

    pub(in crate::memory::task_store) fn statistics(&self, owner: Option<UserId>) -> TaskStatistics {
        TaskStatistics::of(self.tasks.values().filter(|task| owner.is_none() || task.owner == owner))
    }

    pub(in crate::memory::task_store) fn ahead(&self, task: &Task, now: DateTime<Utc>) -> u32 {
        let key = task.scheduling_key();
        let ready = self.ready.get(&task.owner).into_iter().flat_map(|ready| ready.range(..key));
        let ready = ready.filter(|(_, run_at, _)| *run_at <= now).count();
        let due = self.later.iter().take_while(|(run_at, _)| *run_at <= now);
        let due = due.filter_map(|(_, id)| self.tasks.get(id));
        let due = due.filter(|other| other.owner == task.owner && other.scheduling_key() < key).count();
        u32::try_from(ready + due).unwrap_or(MAX_AHEAD).min(MAX_AHEAD)
    }

    pub(in crate::memory::task_store) fn backlog(&self) -> Backlog {
        let later = self.later.iter().map(|(run_at, _)| *run_at);
        Backlog::of(later.chain(self.ready.values().flatten().map(|(_, run_at, _)| *run_at)))
    }

    pub(in crate::memory::task_store) fn event_log_begin(&self) -> EventOffset {
        self.event_log_begin
    }

    pub(in crate::memory::task_store) fn events_after(
        &self,
        id: TaskId,
        after: u64,
        limit: u32,
    ) -> Vec<TaskEvent> {
        let positions = self.events.get(&id).into_iter().flatten();
        let positions = positions.skip(usize::try_from(after).unwrap_or(usize::MAX));
        page(positions.filter_map(|position| self.event_log.get(position)), limit)
            .map(|entry| entry.event.clone())
            .items
    }

    pub(in crate::memory::task_store) fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> Page<EventLogEntry, EventOffset> {
        let later = self.event_log.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, entry)| entry);
        let wanted = later.filter(|entry| owner.is_none() || entry.owner == owner);
        page(wanted, limit).map(EventLogEntry::clone)
    }

    pub(in crate::memory::task_store) fn event_log_end(&self) -> EventOffset {
        self.event_log_end
    }
}

/// Collects one page of these entries of the event log.
fn page<'q>(
    entries: impl Iterator<Item = &'q EventLogEntry>,
    limit: u32,
) -> Page<&'q EventLogEntry, EventOffset> {
    let sized = entries.map(|entry| (entry.event.kind.text_bytes(), move || Ok::<_, Infallible>(entry)));
    let Ok(page) = Page::collect(sized, limit as usize, |entry| Some(entry.position));
    page
}
