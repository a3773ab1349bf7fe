//! Tracks which rows of `leases` that this process wrote are no longer needed.
//!
//! A lease row says when to check whether its tasks are still held. Once each of its tasks has ended or is in
//! a later row, the row is spent, and the next claim removes it in the same statement. Rows of a crashed
//! process are removed by the process that reaps them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sutazai_core::domain::TaskId;

/// The lease rows of this process.
#[derive(Debug, Default)]
pub(super) struct Leases {
    rows: Mutex<LeaseRows>,
}

#[derive(Debug, Default)]
struct LeaseRows {
    /// Attempt and latest lease row of each held task.
    latest: HashMap<TaskId, (u32, i64)>,
    /// Number of tasks for which each row is the latest.
    tasks: HashMap<i64, usize>,
    spent: Vec<i64>,
}

impl Leases {
    /// Registers these attempts under this lease row.
    pub(super) fn hold(&self, row: i64, attempts: impl IntoIterator<Item = (TaskId, u32)>) {
        let mut rows = self.lock();
        for (task, attempt) in attempts {
            *rows.tasks.entry(row).or_default() += 1;
            if let Some((_, earlier)) = rows.latest.insert(task, (attempt, row)) {
                rows.leave(earlier);
            }
        }
    }

    /// Unregisters these attempts. An attempt that was followed by another one at the same task is ignored.
    pub(super) fn release(&self, attempts: impl IntoIterator<Item = (TaskId, u32)>) {
        let mut rows = self.lock();
        for (task, attempt) in attempts {
            if let Some((_, row)) = rows.latest.get(&task).copied().filter(|(held, _)| *held == attempt) {
                rows.latest.remove(&task);
                rows.leave(row);
            }
        }
    }

    /// Returns the spent rows, each only once: one that a failed claim did not remove is removed when it
    /// expires.
    pub(super) fn spent(&self) -> Vec<i64> {
        std::mem::take(&mut self.lock().spent)
    }

    fn lock(&self) -> MutexGuard<'_, LeaseRows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LeaseRows {
    fn leave(&mut self, row: i64) {
        let Some(tasks) = self.tasks.get_mut(&row) else { return };
        *tasks -= 1;
        if *tasks == 0 {
            self.tasks.remove(&row);
            self.spent.push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_is_spent_when_none_of_its_tasks_needs_it() {
        let leases = Leases::default();
        let [first, second, third] = [(); 3].map(|()| TaskId::new());
        leases.hold(1, [(first, 1), (second, 1)]);
        leases.release([(first, 1), (third, 1)]);
        assert!(leases.spent().is_empty());
        leases.hold(2, [(second, 2)]);
        assert_eq!(leases.spent(), [1]);
        leases.hold(2, [(second, 2)]);
        leases.release([(second, 1)]);
        assert!(leases.spent().is_empty(), "the same row once more, and an attempt of before");
        leases.release([(second, 2), (second, 2)]);
        assert_eq!(leases.spent(), [2]);
        assert!(
            leases.spent().is_empty() && leases.lock().tasks.is_empty() && leases.lock().latest.is_empty()
        );
    }
}
