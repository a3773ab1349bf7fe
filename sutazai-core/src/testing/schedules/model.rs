//! Reference model of a task store, as simple as possible: every call scans all tasks.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::domain::{ClaimKey, Outcome, Task, TaskEvent, TaskId, TaskStatus, UserId};
use crate::ports::{ClaimRequest, LeaseState};

/// An event as the model predicts it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    Status(TaskStatus, u32),
    Text(String),
}

/// A task in its expected state.
#[derive(Debug)]
pub(super) struct Entry {
    /// Number of the task in reports.
    pub(super) number: usize,
    pub(super) task: Task,
    pub(super) events: Vec<Told>,
    /// Events that the store has returned so far; the list may only grow.
    pub(super) seen: Vec<TaskEvent>,
    pub(super) children: Vec<TaskId>,
    /// Unfinished children that the task waits for.
    open: BTreeSet<TaskId>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) entries: BTreeMap<TaskId, Entry>,
    keys: HashMap<(Option<UserId>, String), TaskId>,
    count: usize,
}

type Touched = BTreeSet<TaskId>;

impl Model {
    pub(super) fn enqueue(&mut self, task: Task, touched: &mut Touched) -> TaskId {
        if let Some(key) = &task.idempotency_key {
            let known = *self.keys.entry((task.owner, key.clone())).or_insert(task.id);
            if known != task.id {
                return known;
            }
        }
        if let Some(known) = self.active_with_key_of(&task) {
            return known;
        }
        self.count += 1;
        let (id, number) = (task.id, self.count);
        let events = vec![Told::Status(TaskStatus::Pending, 0)];
        let entry =
            Entry { number, task, events, seen: Vec::new(), children: Vec::new(), open: BTreeSet::new() };
        self.entries.insert(id, entry);
        touched.insert(id);
        id
    }

    /// Returns the unfinished task with the deduplication key of this one.
    fn active_with_key_of(&self, task: &Task) -> Option<TaskId> {
        let key = |task: &Task| task.unique_key.clone().map(|key| (task.owner, task.agent.clone(), key));
        let wanted = key(task)?;
        let open =
            |entry: &&Entry| !entry.task.status.has_ended() && key(&entry.task).as_ref() == Some(&wanted);
        self.entries.values().find(open).map(|entry| entry.task.id)
    }

    /// Returns the tasks that a claim must return, in order.
    pub(super) fn claim(&mut self, request: &ClaimRequest, touched: &mut Touched) -> Vec<TaskId> {
        let mut owners: Vec<Option<UserId>> = self.entries.values().map(|entry| entry.task.owner).collect();
        owners.sort_unstable_by_key(|owner| (*owner <= request.after, *owner));
        owners.dedup();
        let mut taken = Vec::new();
        loop {
            let before = taken.len();
            for owner in &owners {
                let next = self.next_of(*owner, request).filter(|_| taken.len() < request.limit as usize);
                let Some(entry) = next.and_then(|id| self.entries.get_mut(&id)) else { continue };
                entry.task.attempt += 1;
                entry.task.worker = Some(request.worker);
                entry.task.lease_until = Some(request.now + request.lease);
                entry.task.started_at = Some(request.now);
                let id = entry.task.id;
                taken.push(id);
                self.enter(id, TaskStatus::Processing, request.now, touched);
            }
            if taken.len() == before {
                return taken;
            }
        }
    }

    /// Returns the next task of this owner that a claim must take.
    fn next_of(&self, owner: Option<UserId>, request: &ClaimRequest) -> Option<TaskId> {
        let tasks = || self.entries.values().map(|entry| &entry.task);
        let running = |fits: &dyn Fn(&Task) -> bool| {
            tasks().filter(|task| task.status == TaskStatus::Processing && fits(task)).count() as u32
        };
        let limits = &request.limits;
        let of_owner = running(&|task| task.owner == owner);
        let due = self
            .entries
            .values()
            .filter(|entry| entry.task.status == TaskStatus::Pending && entry.open.is_empty())
            .map(|entry| &entry.task)
            .filter(|task| task.owner == owner && task.run_at <= request.now)
            .filter(|task| request.agents.contains(&task.agent))
            .filter(|_| limits.per_owner.is_none_or(|most| of_owner < most))
            .filter(|task| {
                let most = limits.per_agent.get(&task.agent);
                most.is_none_or(|most| running(&|other| other.agent == task.agent) < *most)
            });
        let ten_minutes_for_each = |task: &Task| chrono::TimeDelta::minutes(10 * i64::from(task.priority));
        due.min_by_key(|task| (task.run_at - ten_minutes_for_each(task), task.run_at, task.id))
            .map(|task| task.id)
    }

    /// Returns the task under this claim if the claim is valid.
    pub(super) fn held(&mut self, claim: &ClaimKey) -> Option<&mut Entry> {
        self.entries.get_mut(&claim.task).filter(|entry| {
            let task = &entry.task;
            (task.status, task.attempt, task.worker)
                == (TaskStatus::Processing, claim.attempt, Some(claim.worker))
        })
    }

    pub(super) fn renew(
        &mut self,
        claim: &ClaimKey,
        until: DateTime<Utc>,
        touched: &mut Touched,
    ) -> LeaseState {
        let Some(entry) = self.held(claim) else { return LeaseState::Lost };
        entry.task.lease_until = Some(until);
        touched.insert(claim.task);
        if entry.task.cancel_requested { LeaseState::CancelRequested } else { LeaseState::Held }
    }

    /// Returns whether the outcome is recorded.
    pub(super) fn record_outcomes(
        &mut self,
        claim: &ClaimKey,
        outcome: Outcome,
        now: DateTime<Utc>,
        touched: &mut Touched,
    ) -> bool {
        let Some(entry) = self.held(claim) else { return false };
        let task = &mut entry.task;
        let stop = task.cancel_requested;
        let status = match outcome {
            Outcome::Completed(result) => {
                task.result = Some(result);
                TaskStatus::Completed
            }
            Outcome::Failed(_) => {
                task.failures += 1;
                TaskStatus::Failed
            }
            Outcome::Cancelled => TaskStatus::Cancelled,
            Outcome::Retry { .. } | Outcome::Released | Outcome::Wait { .. } if stop => TaskStatus::Cancelled,
            Outcome::Retry { at, .. } => {
                (task.failures, task.run_at) = (task.failures + 1, at);
                TaskStatus::Pending
            }
            Outcome::Released => TaskStatus::Pending,
            Outcome::Wait { children, state } => {
                task.state = Some(state);
                self.wait(claim.task, children, touched);
                TaskStatus::Pending
            }
        };
        self.enter(claim.task, status, now, touched);
        true
    }

    fn wait(&mut self, parent: TaskId, children: Vec<Task>, touched: &mut Touched) {
        let children: Vec<TaskId> = children
            .into_iter()
            .map(|child| self.enqueue(Task { parent: Some(parent), ..child }, touched))
            .collect();
        let open =
            children.iter().copied().filter(|child| !self.entries[child].task.status.has_ended()).collect();
        if let Some(entry) = self.entries.get_mut(&parent) {
            (entry.children, entry.open) = (children, open);
            entry.task.waiting_for = entry.open.len() as u32;
        }
    }

    /// Returns how many leases must have expired.
    pub(super) fn reap(&mut self, now: DateTime<Utc>, touched: &mut Touched) -> u64 {
        let run_out = |entry: &&Entry| entry.task.lease_until.is_some_and(|until| until <= now);
        let mut lost: Vec<_> = self
            .entries
            .values()
            .filter(run_out)
            .map(|entry| (entry.task.lease_until, entry.task.id))
            .collect();
        lost.sort_unstable();
        for (_, id) in &lost {
            let Some(entry) = self.entries.get_mut(id) else { continue };
            entry.task.failures += 1;
            let status = if entry.task.cancel_requested {
                TaskStatus::Cancelled
            } else if entry.task.failures >= entry.task.max_attempts {
                TaskStatus::Failed
            } else {
                TaskStatus::Pending
            };
            self.enter(*id, status, now, touched);
        }
        lost.len() as u64
    }

    /// Returns whether the task could be cancelled.
    pub(super) fn cancel(&mut self, id: TaskId, now: DateTime<Utc>, touched: &mut Touched) -> bool {
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        match entry.task.status {
            TaskStatus::Pending => self.enter(id, TaskStatus::Cancelled, now, touched),
            TaskStatus::Processing => entry.task.cancel_requested = true,
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => return false,
        }
        touched.insert(id);
        true
    }

    /// Returns whether the task could be retried.
    pub(super) fn retry(&mut self, id: TaskId, now: DateTime<Utc>, touched: &mut Touched) -> bool {
        let failed = |entry: &&Entry| entry.task.status == TaskStatus::Failed;
        let Some(entry) = self.entries.get(&id).filter(failed) else { return false };
        if self.active_with_key_of(&entry.task).is_some() {
            return false;
        }
        let Some(entry) = self.entries.get_mut(&id) else { return false };
        (entry.task.failures, entry.task.run_at, entry.task.finished_at) = (0, now, None);
        self.enter(id, TaskStatus::Pending, now, touched);
        true
    }

    /// Returns whether the task could be deleted.
    pub(super) fn delete(&mut self, id: TaskId) -> bool {
        let ended = self.entries.get(&id).is_some_and(|entry| entry.task.status.has_ended());
        if ended {
            self.entries.remove(&id);
            self.keys.retain(|_, known| *known != id);
            for entry in self.entries.values_mut() {
                entry.children.retain(|child| *child != id);
                entry.task.parent = entry.task.parent.filter(|parent| *parent != id);
            }
        }
        ended
    }

    fn enter(&mut self, id: TaskId, status: TaskStatus, now: DateTime<Utc>, touched: &mut Touched) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.task.status = status;
        entry.events.push(Told::Status(status, entry.task.attempt));
        touched.insert(id);
        if status != TaskStatus::Processing {
            (entry.task.worker, entry.task.lease_until) = (None, None);
        }
        if !status.has_ended() {
            return;
        }
        entry.task.finished_at = Some(now);
        entry.task.cancel_requested = false;
        entry.task.waiting_for = 0;
        entry.open.clear();
        let children = entry.children.clone();
        for (parent, entry) in &mut self.entries {
            if entry.open.remove(&id) {
                entry.task.waiting_for -= 1;
                touched.insert(*parent);
            }
        }
        for child in children {
            if self.entries.get(&child).is_some_and(|entry| entry.task.parent == Some(id)) {
                self.cancel(child, now, touched);
            }
        }
    }
}
