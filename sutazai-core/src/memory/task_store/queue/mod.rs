//! State of the memory task store: records, ready queue, leases and links, changed under one lock.
//!
//! Every change of status goes through [`Queue::enter`], so that events, ready queue, leases and wake-ups always agree
//! with the record.

mod messages;
mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use messages::Messages;

use crate::domain::{
    BusMessage, Claim, ClaimKey, ConcurrencyBudget, EventKind, EventLogEntry, EventOffset, Outcome, Pruned,
    RetentionBatch, Task, TaskError, TaskEvent, TaskId, TaskStatus, UserId, later, quota,
};
use crate::error::{Error, ErrorKind, Result};
use crate::memory::outbox::Outbox;
use crate::ports::{ClaimRequest, CommitEffects, LeaseState, WakeUp, deduplication_key_taken};

type DeduplicationKey = (Option<UserId>, String, String);
type SchedulingKey = (DateTime<Utc>, DateTime<Utc>, TaskId);

#[derive(Debug, Default)]
pub(super) struct Queue {
    tasks: BTreeMap<TaskId, Task>,
    event_log: BTreeMap<EventOffset, EventLogEntry>,
    event_log_end: EventOffset,
    /// Position of the last pruned event.
    event_log_begin: EventOffset,
    /// Positions of a task's events in the event log, by sequence from 1.
    events: HashMap<TaskId, Vec<EventOffset>>,
    /// Pending tasks that wait for no child and are not known to be due, by their due time.
    later: BTreeSet<(DateTime<Utc>, TaskId)>,
    /// Tasks that were due at an earlier claim, per owner in the order in which they are claimed.
    ready: BTreeMap<Option<UserId>, BTreeSet<SchedulingKey>>,
    /// Processing tasks, by the expiry of their lease.
    leases: BTreeSet<(DateTime<Utc>, TaskId)>,
    keys: HashMap<(Option<UserId>, String), TaskId>,
    /// Pending and processing tasks by their deduplication key.
    active_keys: HashMap<DeduplicationKey, TaskId>,
    /// Children of each parent, in the order of their submission.
    children: HashMap<TaskId, Vec<TaskId>>,
    /// Parents that wait for each child.
    waiters: HashMap<TaskId, Vec<TaskId>>,
    messages: Messages,
    effects: CommitEffects,
}

impl Queue {
    /// Takes the effects of the changes since the last call.
    pub(super) fn take_effects(&mut self) -> CommitEffects {
        std::mem::take(&mut self.effects)
    }

    /// Adds a task, or returns the one that already has its idempotency or deduplication key.
    pub(super) fn enqueue(&mut self, task: Task) -> TaskId {
        let key = task.idempotency_key.clone().map(|key| (task.owner, key));
        if let Some(known) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return *known;
        }
        if let Some(known) = unique_key(&task).and_then(|key| self.active_keys.get(&key)) {
            return *known;
        }
        let (id, at) = (task.id, task.created_at);
        if let Some(key) = key {
            self.keys.insert(key, id);
        }
        let known_wake_ups = self.effects.wake_ups.len();
        self.tasks.insert(id, task.as_added());
        self.enter(id, TaskStatus::Pending, None, at);
        if task.status == TaskStatus::Processing {
            // The task is claimed already, so there is nothing to claim in the queue.
            self.effects.wake_ups.truncate(known_wake_ups);
            let at = task.updated_at;
            self.tasks.insert(id, task);
            self.enter(id, TaskStatus::Processing, None, at);
        }
        id
    }

    /// Returns the first task whose id is taken, except tasks that a key identifies as known.
    pub(super) fn taken(&self, tasks: &[Task]) -> Option<TaskId> {
        let mut ids = BTreeSet::new();
        let mut added = self.unknown(tasks);
        added.find(|task| self.tasks.contains_key(&task.id) || !ids.insert(task.id)).map(|task| task.id)
    }

    /// Lists the tasks that no key identifies as known.
    fn unknown<'t>(&self, tasks: &'t [Task]) -> impl Iterator<Item = &'t Task> {
        let (mut keys, mut unique) = (BTreeSet::new(), BTreeSet::new());
        tasks.iter().filter(move |task| {
            let key = task.idempotency_key.clone().map(|key| (task.owner, key));
            key.is_none_or(|key| !self.keys.contains_key(&key) && keys.insert(key))
                && unique_key(task)
                    .is_none_or(|key| !self.active_keys.contains_key(&key) && unique.insert(key))
        })
    }

    /// Checks that the owners of these tasks may have that many more pending tasks.
    pub(super) fn check_room(&self, tasks: &[Task], max_pending: Option<u32>) -> Result<()> {
        let Some(max) = max_pending else { return Ok(()) };
        let mut added: HashMap<UserId, usize> = HashMap::new();
        let pending = self.unknown(tasks).filter(|task| task.status == TaskStatus::Pending);
        for owner in pending.filter_map(|task| task.owner) {
            *added.entry(owner).or_default() += 1;
        }
        for (owner, added) in added {
            let waits = |task: &&Task| task.status == TaskStatus::Pending && task.waiting_for == 0;
            let pending = self.tasks.values().filter(|task| task.owner == Some(owner)).filter(waits).count();
            if pending + added > max as usize {
                return Err(quota::queue_full(max));
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, id: TaskId) -> Option<Task> {
        self.tasks.get(&id).cloned()
    }

    pub(super) fn claim(&mut self, request: &ClaimRequest) -> Vec<Claim> {
        while let Some((run_at, id)) = self.later.first().copied().filter(|(at, _)| *at <= request.now) {
            self.later.remove(&(run_at, id));
            if let Some(task) = self.tasks.get(&id) {
                self.ready.entry(task.owner).or_default().insert(task.scheduling_key());
            }
        }
        self.select_fairly(request).into_iter().filter_map(|id| self.claim_one(id, request)).collect()
    }

    /// Selects the due tasks for a claim, round-robin across owners with one task per owner and round.
    fn select_fairly(&self, request: &ClaimRequest) -> Vec<TaskId> {
        let limited = request.limits.are_set();
        let running = self.leases.iter().filter(|_| limited).filter_map(|(_, id)| self.tasks.get(id));
        let running = running.map(|task| (task.owner, task.agent.clone(), 1));
        let mut budget = ConcurrencyBudget::new(&request.limits, running);
        let before = self.ready.range(..=request.after);
        let after = self.ready.range((Bound::Excluded(request.after), Bound::Unbounded));
        let mut rotation: Vec<_> = after.chain(before).map(|(owner, ready)| (*owner, ready.iter())).collect();
        let mut taken = Vec::new();
        while !rotation.is_empty() {
            rotation.retain_mut(|(owner, ready)| {
                if taken.len() >= request.limit as usize {
                    return false;
                }
                // Capacity only shrinks within one claim, so a task that does not fit now will not fit later in it.
                let next =
                    ready.by_ref().filter(|(_, run_at, _)| *run_at <= request.now).find_map(|(_, _, id)| {
                        let task = self.tasks.get(id).filter(|task| request.agents.contains(&task.agent))?;
                        budget.has(*owner, &task.agent).then_some(task)
                    });
                if let Some(task) = next {
                    budget.take(*owner, &task.agent);
                    taken.push(task.id);
                }
                next.is_some()
            });
        }
        taken
    }

    fn claim_one(&mut self, id: TaskId, request: &ClaimRequest) -> Option<Claim> {
        let task = self.tasks.get_mut(&id)?;
        task.claim(request.worker, later(request.now, request.lease), request.now);
        self.enter(id, TaskStatus::Processing, None, request.now);
        let children =
            self.children.get(&id).into_iter().flatten().filter_map(|child| self.get(*child)).collect();
        Some(Claim { task: self.get(id)?, children })
    }

    pub(super) fn renew(
        &mut self,
        claim: &ClaimKey,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> LeaseState {
        let Ok(task) = self.held(claim) else { return LeaseState::Lost };
        let before = task.lease_until.replace(lease_until);
        let state = if task.cancel_requested { LeaseState::CancelRequested } else { LeaseState::Held };
        if let Some(before) = before {
            self.leases.remove(&(before, claim.task));
        }
        self.leases.insert((lease_until, claim.task));
        self.heartbeat_time(claim.task, now);
        state
    }

    pub(super) fn record_outcomes(
        &mut self,
        claim: &ClaimKey,
        outcome: Outcome,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let task = self.held(claim)?;
        let stop = task.cancel_requested;
        match outcome {
            Outcome::Completed(result) => {
                task.result = Some(result);
                task.error = None;
                self.enter(claim.task, TaskStatus::Completed, None, now);
            }
            Outcome::Failed(error) => {
                task.failures += 1;
                self.enter(claim.task, TaskStatus::Failed, Some(error), now);
            }
            Outcome::Cancelled => self.enter(claim.task, TaskStatus::Cancelled, None, now),
            _ if stop => self.enter(claim.task, TaskStatus::Cancelled, None, now),
            Outcome::Retry { at, error } => {
                task.failures += 1;
                task.run_at = at;
                self.enter(claim.task, TaskStatus::Pending, Some(error), now);
            }
            Outcome::Released => self.enter(claim.task, TaskStatus::Pending, None, now),
            Outcome::Wait { children, state } => {
                if let Some(id) = self.taken(&children) {
                    return Err(Error::conflict(format!("task {id} already exists")));
                }
                let task = self.held(claim)?;
                task.state = Some(state);
                self.wait(claim.task, children, now);
            }
        }
        Ok(())
    }

    fn wait(&mut self, parent: TaskId, children: Vec<Task>, now: DateTime<Utc>) {
        let children: Vec<TaskId> = children
            .into_iter()
            .map(|mut child| {
                child.parent = Some(parent);
                self.enqueue(child)
            })
            .collect();
        let mut open: Vec<TaskId> = children
            .iter()
            .copied()
            .filter(|child| self.tasks.get(child).is_some_and(|task| !task.status.has_ended()))
            .collect();
        open.sort_unstable();
        open.dedup();
        if let Some(task) = self.tasks.get_mut(&parent) {
            task.waiting_for = open.len() as u32;
        }
        for child in open {
            self.waiters.entry(child).or_default().push(parent);
        }
        self.ask(parent, &children, now);
        self.children.insert(parent, children);
        self.enter(parent, TaskStatus::Pending, None, now);
    }

    pub(super) fn reap(&mut self, now: DateTime<Utc>) -> u64 {
        let lost: Vec<TaskId> =
            self.leases.iter().take_while(|(until, _)| *until <= now).map(|(_, id)| *id).collect();
        for id in &lost {
            let Some(task) = self.tasks.get_mut(id) else { continue };
            task.failures += 1;
            let error =
                TaskError { kind: ErrorKind::Timeout, message: "the lease of the worker expired".into() };
            let status = match (task.cancel_requested, task.failures < task.max_attempts) {
                (true, _) => TaskStatus::Cancelled,
                (false, true) => TaskStatus::Pending,
                (false, false) => TaskStatus::Failed,
            };
            let error = (status != TaskStatus::Cancelled).then_some(error);
            self.enter(*id, status, error, now);
        }
        lost.len() as u64
    }

    pub(super) fn next_due(&self, agents: &[String]) -> Option<DateTime<Utc>> {
        let wanted = |id: &TaskId| self.tasks.get(id).is_some_and(|task| agents.contains(&task.agent));
        let ready =
            self.ready.values().flatten().filter(|(_, _, id)| wanted(id)).map(|(_, run_at, _)| *run_at);
        let later = self.later.iter().find(|(_, id)| wanted(id)).map(|(run_at, _)| *run_at);
        let lease = self.leases.first().map(|(until, _)| *until);
        [ready.min(), later, lease].into_iter().flatten().min()
    }

    pub(super) fn cancel(&mut self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        let task = self.known(id)?;
        match task.status {
            TaskStatus::Pending => self.enter(id, TaskStatus::Cancelled, None, now),
            TaskStatus::Processing => {
                task.cancel_requested = true;
                task.updated_at = now;
                self.effects.wake_ups.push(WakeUp::Task(id));
            }
            ended => return Err(Error::conflict(format!("the task has already ended: {ended}"))),
        }
        self.known(id).cloned()
    }

    pub(super) fn retry(&mut self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        let task = self.known(id)?;
        if task.status != TaskStatus::Failed {
            return Err(Error::conflict(format!(
                "only a failed task can be retried, and this one is {}",
                task.status
            )));
        }
        if let Some(active) = unique_key(task).and_then(|key| self.active_keys.get(&key).copied()) {
            return Err(deduplication_key_taken(active));
        }
        let task = self.known(id)?;
        task.failures = 0;
        task.run_at = now;
        task.finished_at = None;
        self.enter(id, TaskStatus::Pending, None, now);
        self.known(id).cloned()
    }

    pub(super) fn delete(&mut self, id: TaskId, outbox: &Outbox) -> Result<()> {
        let task = self.known(id)?;
        if !task.status.has_ended() {
            return Err(Error::conflict(format!(
                "only an ended task can be deleted, and this one is {}",
                task.status
            )));
        }
        if let Some(key) = task.idempotency_key.clone() {
            let owner = task.owner;
            self.keys.remove(&(owner, key));
        }
        self.remove(id, outbox);
        Ok(())
    }

    /// Removes all tasks of an owner; returns their number.
    pub(super) fn delete_all(&mut self, owner: UserId, outbox: &Outbox) -> u64 {
        let owned = self.tasks.values().filter(|task| task.owner == Some(owner));
        let ids: Vec<TaskId> = owned.map(|task| task.id).collect();
        for id in &ids {
            self.dequeue(*id);
            self.remove(*id, outbox);
        }
        self.keys.retain(|(of, _), _| *of != Some(owner));
        self.active_keys.retain(|(of, _, _), _| *of != Some(owner));
        ids.len() as u64
    }

    /// Removes a task from the queues and the leases.
    fn dequeue(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        self.later.remove(&(task.run_at, id));
        if let Some(until) = task.lease_until {
            self.leases.remove(&(until, id));
        }
        if let Some(ready) = self.ready.get_mut(&task.owner) {
            ready.remove(&task.scheduling_key());
            if ready.is_empty() {
                self.ready.remove(&task.owner);
            }
        }
    }

    /// Removes a task that is in no queue, with everything that belongs to it.
    fn remove(&mut self, id: TaskId, outbox: &Outbox) {
        self.leave(id, outbox);
        self.tasks.remove(&id);
        for position in self.events.remove(&id).unwrap_or_default() {
            self.event_log.remove(&position);
        }
        self.children.remove(&id);
        self.waiters.remove(&id);
        self.messages.forget(id);
        for task in self.tasks.values_mut().filter(|task| task.parent == Some(id)) {
            task.parent = None;
        }
    }

    pub(super) fn prune(&mut self, look: &RetentionBatch, outbox: &Outbox) -> Pruned {
        let page: Vec<TaskId> = self
            .tasks
            .range((Bound::Excluded(look.after), Bound::Excluded(look.before)))
            .take(look.limit as usize)
            .map(|(id, _)| *id)
            .collect();
        let open = |id: &TaskId| self.tasks.get(id).is_some_and(|task| !task.status.has_ended());
        let needed: BTreeSet<TaskId> = self
            .children
            .iter()
            .filter(|(parent, _)| open(parent))
            .flat_map(|(_, children)| children)
            .copied()
            .collect();
        let mut removed = 0;
        for id in page.iter().filter(|id| !needed.contains(id)) {
            let old = self.tasks.get(id).is_some_and(|task| look.takes(task.status, task.finished_at));
            let last = self.events.get(id).and_then(|events| events.last()).copied();
            if old && self.delete(*id, outbox).is_ok() {
                removed += 1;
                self.event_log_begin = self.event_log_begin.max(last.unwrap_or_default());
            }
        }
        Pruned { removed, next: page.last().copied().filter(|_| page.len() == look.limit as usize) }
    }

    /// Keeps the messages about a task that is about to be removed in the outbox.
    fn leave(&self, id: TaskId, outbox: &Outbox) {
        let (Some(task), Some(positions)) = (self.tasks.get(&id), self.events.get(&id)) else { return };
        outbox.leave(positions.last().copied().unwrap_or_default(), || {
            let events = positions.iter().filter_map(|position| self.event_log.get(position));
            events.map(|entry| BusMessage::of_event(&entry.event, task)).collect()
        });
    }

    pub(super) fn append(&mut self, claim: &ClaimKey, kind: EventKind, at: DateTime<Utc>) -> Result<()> {
        self.held(claim)?;
        self.record(claim.task, kind, at);
        Ok(())
    }

    /// Returns the task under this claim if the claim is valid.
    pub(super) fn held(&mut self, claim: &ClaimKey) -> Result<&mut Task> {
        self.tasks
            .get_mut(&claim.task)
            .filter(|task| {
                task.status == TaskStatus::Processing
                    && task.attempt == claim.attempt
                    && task.worker == Some(claim.worker)
            })
            .ok_or_else(|| Error::conflict(format!("the claim on task {} is spent", claim.task)))
    }

    fn known(&mut self, id: TaskId) -> Result<&mut Task> {
        self.tasks.get_mut(&id).ok_or_else(|| Error::not_found(format!("task {id}")))
    }

    /// Changes the status of a task together with its event, queues, leases, waiting parents and wake-ups.
    fn enter(&mut self, id: TaskId, status: TaskStatus, error: Option<TaskError>, at: DateTime<Utc>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        // `run_at` is unchanged since the task was queued: callers that change it hold a claim, and a claimed task is
        // in no queue.
        if let Some(ready) = self.ready.get_mut(&task.owner) {
            ready.remove(&task.scheduling_key());
            if ready.is_empty() {
                self.ready.remove(&task.owner);
            }
        }
        self.later.remove(&(task.run_at, id));
        if status != TaskStatus::Processing {
            task.worker = None;
            if let Some(until) = task.lease_until.take() {
                self.leases.remove(&(until, id));
            }
        }
        task.status = status;
        self.effects.entered.push((task.agent.clone(), status));
        task.updated_at = at;
        if let Some(key) = unique_key(task) {
            if status.has_ended() {
                self.active_keys.remove(&key);
            } else {
                self.active_keys.insert(key, id);
            }
        }
        if error.is_some() {
            task.error.clone_from(&error);
        }
        let attempt = task.attempt;
        match status {
            TaskStatus::Pending if task.waiting_for == 0 => {
                self.later.insert((task.run_at, id));
                self.effects.wake_ups.push(WakeUp::Queue);
            }
            TaskStatus::Pending => {}
            TaskStatus::Processing => {
                self.leases.extend(task.lease_until.map(|until| (until, id)));
            }
            TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => {
                task.finished_at = Some(at);
                task.waiting_for = 0;
                task.cancel_requested = false;
            }
        }
        self.record(id, EventKind::Status { status, attempt, error }, at);
        if status.has_ended() {
            self.settle(id, at);
        }
    }

    /// Notifies the parents that this task has ended, and cancels its own unfinished children.
    fn settle(&mut self, id: TaskId, at: DateTime<Utc>) {
        for parent in self.waiters.remove(&id).unwrap_or_default() {
            self.answer(parent, id, at);
            let Some(task) = self.tasks.get_mut(&parent) else { continue };
            if task.status != TaskStatus::Pending || task.waiting_for == 0 {
                continue;
            }
            task.waiting_for -= 1;
            task.updated_at = at;
            if task.waiting_for == 0 {
                self.later.insert((task.run_at, parent));
                self.effects.wake_ups.push(WakeUp::Queue);
            }
        }
        for child in self.children.get(&id).cloned().unwrap_or_default() {
            let Some(task) = self.tasks.get_mut(&child) else { continue };
            if task.parent != Some(id) {
                continue;
            }
            match task.status {
                TaskStatus::Pending => self.enter(child, TaskStatus::Cancelled, None, at),
                TaskStatus::Processing => {
                    task.cancel_requested = true;
                    self.effects.wake_ups.push(WakeUp::Task(child));
                }
                _ => {}
            }
        }
    }

    fn record(&mut self, id: TaskId, kind: EventKind, at: DateTime<Utc>) {
        let events = self.events.entry(id).or_default();
        self.event_log_end.0 += 1;
        events.push(self.event_log_end);
        let event = TaskEvent { task_id: id, sequence: events.len() as u64, at, kind };
        let owner = self.tasks.get(&id).and_then(|task| task.owner);
        self.event_log
            .insert(self.event_log_end, EventLogEntry { position: self.event_log_end, owner, event });
        self.effects.wake_ups.push(WakeUp::Task(id));
    }
}

/// Returns the deduplication key, which no other pending or processing task may have.
fn unique_key(task: &Task) -> Option<DeduplicationKey> {
    task.unique_key.clone().map(|key| (task.owner, task.agent.clone(), key))
}
