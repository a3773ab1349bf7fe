//! Properties that hold at any time in any schedule.

use super::model::{Entry, Told};
use super::{Check, World};
use crate::domain::task::lifecycle::TRANSITIONS;
use crate::domain::{EventKind, Task, TaskEvent, TaskStatus};

impl World {
    /// Compares the touched tasks with the model, and checks the properties of every task.
    pub(super) async fn compare(&mut self) -> Check {
        for id in std::mem::take(&mut self.touched) {
            let Some(entry) = self.model.entries.get_mut(&id) else { continue };
            let number = entry.number;
            let task = self.store.get(id).await.map_err(|e| format!("get: {e}"))?;
            let Some(task) = task else { return Err(format!("task {number} is lost")) };
            // Each event has its own sequence number, so reading after the last known one returns all new ones.
            let after = entry.seen.len() as u64;
            let new = self.store.events_after(id, after, 10_000).await.map_err(|e| format!("events: {e}"))?;
            entry.seen.extend(new);
            check_history(&task, &entry.seen)
                .and_then(|()| same(entry, task))
                .map_err(|fault| format!("task {number}: {fault}"))?;
        }
        Ok(())
    }
}

/// Checks the properties of a task and all its events in any schedule: sequence numbers without gaps, only transitions
/// of the table, attempts counted by claims, no second end, and a record that agrees with its history.
///
/// # Errors
/// The violated property.
pub fn check_history(task: &Task, events: &[TaskEvent]) -> Result<(), String> {
    let (mut before, mut attempts) = (None, 0);
    for (event, expected) in events.iter().zip(1..) {
        if (event.sequence, event.task_id) != (expected, task.id) {
            return Err(format!("expected the event {expected}, got {event:?}"));
        }
        match (&event.kind, before) {
            (EventKind::Status { status: TaskStatus::Pending, attempt: 0, .. }, None) => {}
            (EventKind::Status { status, attempt, .. }, Some(from)) => {
                if !TRANSITIONS.contains(&(from, *status)) {
                    return Err(format!("it went from {from} to {status}"));
                }
                attempts += u32::from(*status == TaskStatus::Processing);
                if *attempt != attempts {
                    return Err(format!("event {expected} names attempt {attempt} instead of {attempts}"));
                }
            }
            (_, Some(TaskStatus::Processing)) => {}
            _ => return Err(format!("{event:?} while it is {before:?}")),
        }
        if let EventKind::Status { status, .. } = event.kind {
            before = Some(status);
        }
    }
    if before != Some(task.status) || task.attempt != attempts {
        return Err(format!("its history ends with {before:?}, attempt {attempts}, but it is {task:?}"));
    }
    let status = task.status;
    let holds = [
        ("a worker", task.worker.is_some(), status == TaskStatus::Processing),
        ("a lease", task.lease_until.is_some(), status == TaskStatus::Processing),
        ("an end", task.finished_at.is_some(), status.has_ended()),
        ("a result", task.result.is_some(), status == TaskStatus::Completed),
    ];
    if let Some((what, has, _)) = holds.into_iter().find(|(_, has, must)| has != must) {
        return Err(format!("it is {status} and has {what}: {has}"));
    }
    if task.failures > task.max_attempts {
        return Err(format!("{} failures of at most {}", task.failures, task.max_attempts));
    }
    if task.waiting_for > 0 && status != TaskStatus::Pending {
        return Err(format!("it is {status} and waits for {} children", task.waiting_for));
    }
    Ok(())
}

/// Compares the task in the store with the model, except for error texts and the time of the last change.
fn same(entry: &Entry, got: Task) -> Check {
    let expected = &entry.task;
    let got = Task { updated_at: expected.updated_at, error: expected.error.clone(), ..got };
    if got != *expected {
        return Err(format!("expected {expected:?},\n got {got:?}"));
    }
    let events: Vec<Told> = entry
        .seen
        .iter()
        .map(|event| match &event.kind {
            EventKind::Status { status, attempt, .. } => Told::Status(*status, *attempt),
            EventKind::Text { text, .. } => Told::Text(text.clone()),
            EventKind::Progress { message, .. } => Told::Text(message.clone()),
            EventKind::Findings { findings } => Told::Text(format!("{findings:?}")),
        })
        .collect();
    if events == entry.events {
        Ok(())
    } else {
        Err(format!("expected the events {:?},\n got {events:?}", entry.events))
    }
}
