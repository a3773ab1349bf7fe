//! Which rows of `leases` that this process wrote say nothing any more.
//!
//! A row says when to look whether its tasks are still held. When each of them has ended, or stands in a later row, it can
//! go: the next claim removes it. What a process that died has left is removed by who looks after it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sutazai_core::domain::TaskId;

/// The rows of this process.
#[derive(Debug, Default)]
pub(super) struct Leases {
    rows: Mutex<Rows>,
}

#[derive(Debug, Default)]
struct Rows {
    /// The attempt and the latest row of each task that is held.
    latest: HashMap<TaskId, (u32, i64)>,
    /// Of how many tasks each row is the latest.
    tasks: HashMap<i64, usize>,
    spent: Vec<i64>,
}

impl Leases {
    /// These attempts at tasks stand in this row from now on.
    pub(super) fn hold(&self, row: i64, attempts: impl IntoIterator<Item = (TaskId, u32)>) {
        let mut rows = self.lock();
        for (task, attempt) in attempts {
            *rows.tasks.entry(row).or_default() += 1;
            if let Some((_, earlier)) = rows.latest.insert(task, (attempt, row)) {
                rows.leave(earlier);
            }
        }
    }

    /// These attempts are over. Those that have been followed by others at the same tasks are passed over.
    pub(super) fn let_go(&self, attempts: impl IntoIterator<Item = (TaskId, u32)>) {
        let mut rows = self.lock();
        for (task, attempt) in attempts {
            if let Some((_, row)) = rows.latest.get(&task).copied().filter(|(held, _)| *held == attempt) {
                rows.latest.remove(&task);
                rows.leave(row);
            }
        }
    }

    /// The rows that can go. They are named once: one that stays all the same goes when it is looked at.
    pub(super) fn spent(&self) -> Vec<i64> {
        std::mem::take(&mut self.lock().spent)
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
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
    fn a_row_is_spent_when_none_of_its_tasks_needs_it() {
        let leases = Leases::default();
        let [first, second, third] = [(); 3].map(|()| TaskId::new());
        leases.hold(1, [(first, 1), (second, 1)]);
        leases.let_go([(first, 1), (third, 1)]);
        assert!(leases.spent().is_empty());
        leases.hold(2, [(second, 2)]);
        assert_eq!(leases.spent(), [1]);
        leases.hold(2, [(second, 2)]);
        leases.let_go([(second, 1)]);
        assert!(leases.spent().is_empty(), "the same row once more, and an attempt of before");
        leases.let_go([(second, 2), (second, 2)]);
        assert_eq!(leases.spent(), [2]);
        assert!(
            leases.spent().is_empty() && leases.lock().tasks.is_empty() && leases.lock().latest.is_empty()
        );
    }
}
