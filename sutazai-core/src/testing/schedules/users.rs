//! Actions of users in a schedule: submit, cancel, retry and delete.

use rand::Rng;
use serde_json::json;

use super::{AGENTS, Check, World};
use crate::domain::{NewTask, Task, TaskId, TaskStatus};
use crate::error::{ErrorKind, Result};

/// Maximum number of tasks in a schedule, so that it stays small.
const MAX_TASKS: usize = 40;
/// Depth from which tasks have no children.
pub(super) const DEEPEST: u64 = 3;

impl World {
    /// Draws a task at this depth of a graph. Its keys contain the depth, so no graph has a cycle.
    pub(super) fn draw_task(&mut self, depth: u64) -> Task {
        let mut new = NewTask::new(AGENTS[self.rng.random_range(0..2)], json!({ "depth": depth }));
        new.priority = Some(self.rng.random_range(0..10));
        new.max_attempts = Some(self.rng.random_range(1..4));
        let now = self.now();
        // Sometimes far in the past, so that aged tasks compete with urgent ones.
        new.run_at = self.one_in(3).then(|| {
            let back = if self.one_in(3) { -6_000_000 } else { -5_000 };
            now + chrono::Duration::milliseconds(self.rng.random_range(back..15_000))
        });
        if self.one_in(4) {
            new.idempotency_key = Some(format!("{depth}-{}", self.rng.random_range(0..3)));
        } else if self.one_in(4) {
            new.unique_key = Some(format!("{depth}-{}", self.rng.random_range(0..2)));
        }
        let owner = self.owners[self.rng.random_range(0..self.owners.len())];
        Task::pending(new, owner, None, now)
    }

    /// Returns whether more tasks may be created.
    pub(super) fn has_room(&self) -> bool {
        !self.resting && self.model.entries.len() < MAX_TASKS
    }

    pub(super) async fn submit(&mut self) -> Check {
        if !self.has_room() {
            return Ok(());
        }
        let batch: Vec<Task> = (0..self.rng.random_range(1..4))
            .map(|_| {
                let depth = self.rng.random_range(0..=DEEPEST);
                self.draw_task(depth)
            })
            .collect();
        let expected: Vec<TaskId> =
            batch.iter().map(|task| self.model.enqueue(task.clone(), &mut self.touched)).collect();
        self.tell(format!("submit {:?}", expected.iter().map(|id| self.number(*id)).collect::<Vec<_>>()));
        let added = self.store.enqueue(batch).await.map_err(|e| format!("enqueue: {e}"))?;
        let added: Vec<TaskId> = added.iter().map(|task| task.id).collect();
        if added == expected { Ok(()) } else { Err(format!("enqueue: expected {expected:?}, got {added:?}")) }
    }

    pub(super) async fn cancel(&mut self) -> Check {
        let Some(id) = self.any_task() else { return Ok(()) };
        let now = self.now();
        let expected = self.model.cancel(id, now, &mut self.touched);
        self.tell(format!("cancel {}: {expected}", self.number(id)));
        let got = self.store.cancel(id, now).await;
        self.answered("cancel", id, expected, got)
    }

    pub(super) async fn retry(&mut self) -> Check {
        let failed = |id: &TaskId| self.model.entries[id].task.status == TaskStatus::Failed;
        let first = self.model.entries.keys().copied().find(failed);
        let any = self.any_task();
        let Some(id) = first.filter(|_| any.is_some() && self.rng.random()).or(any) else { return Ok(()) };
        let now = self.now();
        let expected = self.model.retry(id, now, &mut self.touched);
        self.tell(format!("retry {}: {expected}", self.number(id)));
        let got = self.store.retry(id, now).await;
        self.answered("retry", id, expected, got)
    }

    pub(super) async fn delete(&mut self) -> Check {
        let Some(id) = self.any_task() else { return Ok(()) };
        let number = self.number(id);
        let expected = self.model.delete(id);
        self.tell(format!("delete {number}: {expected}"));
        let got = self.store.delete(id).await;
        self.touched.insert(id);
        self.answered("delete", id, expected, got)?;
        match self.store.get(id).await {
            Ok(task) if task.is_none() == expected => Ok(()),
            other => Err(format!("delete of task {number} was {expected}, and now it is {other:?}")),
        }
    }

    /// Checks that the call succeeded if that was expected, and was a conflict otherwise.
    fn answered<T: std::fmt::Debug>(&self, what: &str, id: TaskId, expected: bool, got: Result<T>) -> Check {
        match (expected, &got) {
            (true, Ok(_)) => Ok(()),
            (false, Err(e)) if e.kind() == ErrorKind::Conflict => Ok(()),
            _ => Err(format!("{what} of task {}: expected {expected}, got {got:?}", self.number(id))),
        }
    }

    /// Returns the number of a task in reports; 0 once it is deleted.
    pub(super) fn number(&self, id: TaskId) -> usize {
        self.model.entries.get(&id).map_or(0, |entry| entry.number)
    }
}
