//! Read-only queries of the queue's state: pages, counts, events and the event log.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use serde_json::Value;

use super::Queue;
use crate::domain::page::fill_page;
use crate::domain::{
    Backlog, EventLogEntry, EventLogPage, EventOffset, Task, TaskCount, TaskEvent, TaskId, TaskPage,
    TaskQuery, TaskStatistics, UserId,
};

impl Queue {
    pub(in crate::memory::task_store) fn list(&self, query: &TaskQuery) -> TaskPage {
        let limit = query.limit.clamp(1, 100) as usize;
        let older = query.before.map_or_else(|| self.tasks.range(..), |before| self.tasks.range(..before));
        let fitting = older.rev().map(|(_, task)| task).filter(|task| fits(task, query));
        let read = |task: &Task| {
            let (bytes, task) = (bytes(task), task.clone());
            (bytes, move || Ok::<_, Infallible>(task))
        };
        let Ok(page) = TaskPage::of(fitting.map(read), limit);
        page
    }

    pub(in crate::memory::task_store) fn statistics(&self) -> TaskStatistics {
        let mut counts = BTreeMap::new();
        for task in self.tasks.values() {
            *counts.entry((&task.agent, task.status)).or_default() += 1;
        }
        let counts = counts.into_iter();
        TaskStatistics {
            counts: counts
                .map(|((agent, status), count)| TaskCount { agent: agent.clone(), status, count })
                .collect(),
        }
    }

    pub(in crate::memory::task_store) fn backlog(&self) -> Backlog {
        let later = self.later.iter().map(|(run_at, _)| *run_at);
        let waiting = later.chain(self.ready.values().flatten().map(|(_, run_at, _)| *run_at));
        waiting.fold(Backlog::default(), |backlog, run_at| Backlog {
            tasks: backlog.tasks + 1,
            oldest: Some(backlog.oldest.map_or(run_at, |oldest| oldest.min(run_at))),
        })
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
        page(positions.filter_map(|position| self.event_log.get(position)), limit, |entry| {
            entry.event.clone()
        })
        .0
    }

    pub(in crate::memory::task_store) fn event_log_after(
        &self,
        owner: Option<UserId>,
        after: EventOffset,
        limit: u32,
    ) -> EventLogPage {
        let later = self.event_log.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, entry)| entry);
        let wanted = later.filter(|entry| owner.is_none() || entry.owner == owner);
        let (items, more) = page(wanted, limit, EventLogEntry::clone);
        EventLogPage { items, more }
    }

    pub(in crate::memory::task_store) fn event_log_end(&self) -> EventOffset {
        self.event_log_end
    }
}

/// Collects one page of these entries of the event log; returns its items and whether entries are left.
fn page<'q, T>(
    entries: impl Iterator<Item = &'q EventLogEntry>,
    limit: u32,
    item: impl Fn(&EventLogEntry) -> T,
) -> (Vec<T>, bool) {
    let sized = entries.map(|entry| {
        let item = &item;
        (entry.event.kind.text_bytes(), move || Ok::<_, Infallible>(item(entry)))
    });
    let Ok(page) = fill_page(sized, limit as usize);
    page
}

/// Size of a task's payload, result and state as JSON, in bytes.
fn bytes(task: &Task) -> usize {
    let values = [Some(&task.payload), task.result.as_ref(), task.state.as_ref()];
    values.into_iter().flatten().map(|value| Value::to_string(value).len()).sum()
}

fn fits(task: &Task, query: &TaskQuery) -> bool {
    query.owner.is_none_or(|owner| task.owner == Some(owner))
        && query.status.is_none_or(|status| task.status == status)
        && query.agent.as_ref().is_none_or(|agent| task.agent == *agent)
        && query.parent.is_none_or(|parent| task.parent == Some(parent))
        && query.created_after.is_none_or(|after| task.created_at >= after)
        && query.created_before.is_none_or(|before| task.created_at < before)
}
