//! Reference model of a task store, as simple as possible: every call scans all tasks, and the life cycle in
//! [`lifecycle`] decides what a command does. A store that has statements of its own is compared with it step by step.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};

use crate::domain::task::lifecycle::{self, Command, Transition};
use crate::domain::{ClaimKey, EventKind, OutcomeRecord, Task, TaskEvent, TaskId, TaskStatus, UserId, Wait};
use crate::error::Result;
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
        let (transition, at) = (lifecycle::enqueued(&task), task.created_at);
        let (events, seen, children, open) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        self.entries.insert(id, Entry { number, task, events, seen, children, open });
        self.follow(id, transition, at, touched);
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
                let Some(id) = next else { continue };
                let claim =
                    Command::Claim { worker: request.worker, lease_until: request.now + request.lease };
                if self.apply(id, claim, request.now, touched).is_ok() {
                    taken.push(id);
                }
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
            .map(|entry| &entry.task)
            .filter(|task| task.status == TaskStatus::Pending && task.waiting_for == 0)
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
        self.entries.get_mut(&claim.task).filter(|entry| lifecycle::holds(&entry.task, claim))
    }

    pub(super) fn renew(
        &mut self,
        claim: ClaimKey,
        (until, now): (DateTime<Utc>, DateTime<Utc>),
        touched: &mut Touched,
    ) -> LeaseState {
        if !self
            .apply(claim.task, Command::Renew { claim, lease_until: until }, now, touched)
            .is_ok_and(|known| known)
        {
            return LeaseState::Lost;
        }
        match self.held(&claim) {
            Some(entry) if entry.task.cancel_requested => LeaseState::CancelRequested,
            _ => LeaseState::Held,
        }
    }

    /// Returns whether the outcome is recorded.
    pub(super) fn record_outcome(
        &mut self,
        record: OutcomeRecord,
        now: DateTime<Utc>,
        touched: &mut Touched,
    ) -> bool {
        self.apply(record.claim.task, Command::Record(record), now, touched).is_ok_and(|known| known)
    }

    fn wait(&mut self, parent: TaskId, wait: Wait, now: DateTime<Utc>, touched: &mut Touched) {
        let requested: Vec<TaskId> =
            wait.children.into_iter().map(|child| self.enqueue(child, touched)).collect();
        let carried = wait.unfinished.into_iter().filter(|child| !requested.contains(child));
        let children: Vec<TaskId> = carried.chain(requested.iter().copied()).collect();
        let has_ended = |id: &TaskId| self.entries.get(id).is_none_or(|entry| entry.task.status.has_ended());
        let (ended, open): (BTreeSet<TaskId>, BTreeSet<TaskId>) =
            children.iter().copied().partition(has_ended);
        let command = Command::AwaitChildren {
            until: wait.until,
            unfinished: open.len() as u32,
            ended: ended.len() as u32,
        };
        let exists = |id: &TaskId| self.entries.contains_key(id);
        let children = children.into_iter().filter(exists).collect();
        if let Some(entry) = self.entries.get_mut(&parent) {
            (entry.children, entry.open) = (children, open);
        }
        let _ = self.apply(parent, command, now, touched);
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
            let _ = self.apply(*id, Command::Reap, now, touched);
        }
        lost.len() as u64
    }

    /// Returns whether the task could be cancelled.
    pub(super) fn cancel(&mut self, id: TaskId, now: DateTime<Utc>, touched: &mut Touched) -> bool {
        self.apply(id, Command::Cancel, now, touched).is_ok_and(|known| known)
    }

    /// Returns whether the task could be retried.
    pub(super) fn retry(&mut self, id: TaskId, now: DateTime<Utc>, touched: &mut Touched) -> bool {
        let active = self.entries.get(&id).and_then(|entry| self.active_with_key_of(&entry.task));
        active.is_none() && self.apply(id, Command::RetryByHand, now, touched).is_ok_and(|known| known)
    }

    /// Returns whether the task could be deleted.
    pub(super) fn delete(&mut self, id: TaskId) -> bool {
        let ended = self.entries.get(&id).is_some_and(|entry| lifecycle::check_deletion(&entry.task).is_ok());
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

    /// Applies a command to a task, with everything that follows from it; returns whether there is such a task.
    fn apply(
        &mut self,
        id: TaskId,
        command: Command,
        now: DateTime<Utc>,
        touched: &mut Touched,
    ) -> Result<bool> {
        let Some(entry) = self.entries.get_mut(&id) else { return Ok(false) };
        let transition = lifecycle::apply(&mut entry.task, command, now)?;
        self.follow(id, transition, now, touched);
        Ok(true)
    }

    fn follow(&mut self, id: TaskId, transition: Transition, now: DateTime<Utc>, touched: &mut Touched) {
        touched.insert(id);
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(EventKind::Status { status, attempt, .. }) = transition.event {
            entry.events.push(Told::Status(status, attempt));
        }
        if let Some(wait) = transition.wait {
            self.wait(id, wait, now, touched);
        }
        if transition.ended {
            self.settle(id, now, touched);
        }
    }

    /// Commands the parents and the children of a task that has ended.
    fn settle(&mut self, id: TaskId, now: DateTime<Utc>, touched: &mut Touched) {
        let parents: Vec<TaskId> = self
            .entries
            .iter_mut()
            .filter_map(|(parent, entry)| entry.open.remove(&id).then_some(*parent))
            .collect();
        for parent in parents {
            let _ = self.apply(parent, Command::ChildEnded, now, touched);
        }
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.open.clear();
        for child in entry.children.clone() {
            if self.entries.get(&child).is_some_and(|entry| entry.task.parent == Some(id)) {
                let _ = self.apply(child, Command::Cancel, now, touched);
            }
        }
    }
}
