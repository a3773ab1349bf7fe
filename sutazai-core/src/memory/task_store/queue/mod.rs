//! State of the memory task store: records, ready queue, leases and links, changed under one lock.
//!
//! Every change of a task goes through [`Queue::apply`], which follows the life cycle in
//! [`lifecycle`], so that events, ready queue, leases and wake-ups always agree with the record.

mod messages;
mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use chrono::{DateTime, Utc};
use messages::Messages;

use crate::domain::task::lifecycle::{self, Command, Transition};
use crate::domain::{
    BusMessage, Claim, ClaimKey, EventKind, EventLogEntry, EventOffset, Outcome, OutcomeRecord, Pruned,
    RetentionBatch, Task, TaskEvent, TaskId, TaskStatus, UserId, Wait, later, quota,
};
use crate::error::{Error, Result};
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
        let claimed = task.worker.zip(task.lease_until).zip(task.started_at);
        let added = task.as_added();
        let mut transition = lifecycle::enqueued(&added);
        // A task that is added as claimed is not to be claimed from the queue.
        transition.wakes_queue &= claimed.is_none();
        self.tasks.insert(id, added);
        self.index(id);
        self.follow(id, transition, at);
        if let Some(((worker, lease_until), now)) = claimed {
            // It is new and pending, so the claim is not refused.
            let _ = self.apply(id, Command::Claim { worker, lease_until }, now);
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
        let running = self.leases.iter().filter_map(|(_, id)| self.tasks.get(id));
        let running = running.map(|task| (task.owner, task.agent.clone(), 1));
        let due = self.ready.iter().map(|(owner, ready)| {
            let due = ready.iter().filter(|(_, run_at, _)| *run_at <= request.now);
            (*owner, due.filter_map(|(_, _, id)| self.tasks.get(id)))
        });
        let selected = request.select(due, running);
        selected.into_iter().filter_map(|id| self.claim_one(id, request)).collect()
    }

    fn claim_one(&mut self, id: TaskId, request: &ClaimRequest) -> Option<Claim> {
        let lease_until = later(request.now, request.lease);
        self.apply(id, Command::Claim { worker: request.worker, lease_until }, request.now).ok()?;
        let children =
            self.children.get(&id).into_iter().flatten().filter_map(|child| self.get(*child)).collect();
        Some(Claim { task: self.get(id)?, children })
    }

    pub(super) fn renew(
        &mut self,
        claim: ClaimKey,
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> LeaseState {
        if self.apply(claim.task, Command::Renew { claim, lease_until }, now).is_err() {
            return LeaseState::Lost;
        }
        self.heartbeat_time(claim.task, now);
        match self.tasks.get(&claim.task) {
            Some(task) if task.cancel_requested => LeaseState::CancelRequested,
            _ => LeaseState::Held,
        }
    }

    pub(super) fn record_outcome(&mut self, record: OutcomeRecord, now: DateTime<Utc>) -> Result<()> {
        self.held(&record.claim)?;
        if let Outcome::Wait(wait) = &record.outcome
            && let Some(id) = self.taken(&wait.children)
        {
            return Err(Error::conflict(format!("task {id} already exists")));
        }
        self.apply(record.claim.task, Command::Record(record), now)
    }

    /// Enqueues the children of a task that waits, and determines how many of them it waits for.
    fn wait(&mut self, parent: TaskId, wait: Wait, now: DateTime<Utc>) {
        for child in self.children.remove(&parent).unwrap_or_default() {
            if let Some(waiters) = self.waiters.get_mut(&child) {
                waiters.retain(|waiter| *waiter != parent);
            }
        }
        let requested: Vec<TaskId> = wait.children.into_iter().map(|child| self.enqueue(child)).collect();
        self.ask(parent, &requested, now);
        let mut children = wait.unfinished;
        children.retain(|child| !requested.contains(child));
        children.extend(requested);
        // A child that has been deleted since the claim had ended.
        let has_ended = |id: &TaskId| self.tasks.get(id).is_none_or(|task| task.status.has_ended());
        let (ended, open): (BTreeSet<TaskId>, BTreeSet<TaskId>) =
            children.iter().copied().partition(has_ended);
        open.iter().for_each(|child| self.waiters.entry(*child).or_default().push(parent));
        self.children.insert(parent, children);
        let command = Command::AwaitChildren {
            until: wait.until,
            unfinished: u32::try_from(open.len()).unwrap_or(u32::MAX),
            ended: u32::try_from(ended.len()).unwrap_or(u32::MAX),
        };
        let _ = self.apply(parent, command, now);
    }

    pub(super) fn reap(&mut self, now: DateTime<Utc>) -> u64 {
        let expired = self.leases.iter().take_while(|(until, _)| *until <= now);
        let expired: Vec<TaskId> = expired.map(|(_, id)| *id).collect();
        for id in &expired {
            let _ = self.apply(*id, Command::Reap, now);
        }
        expired.len() as u64
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
        self.apply(id, Command::Cancel, now)?;
        self.known(id).cloned()
    }

    pub(super) fn retry(&mut self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        let task = self.known(id)?;
        let active = unique_key(task).and_then(|key| self.active_keys.get(&key).copied());
        if let Some(active) = active.filter(|_| task.status == TaskStatus::Failed) {
            return Err(deduplication_key_taken(active));
        }
        self.apply(id, Command::RetryByHand, now)?;
        self.known(id).cloned()
    }

    pub(super) fn delete(&mut self, id: TaskId, outbox: &Outbox) -> Result<()> {
        let task = self.known(id)?;
        lifecycle::check_deletion(task)?;
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
            self.unindex(*id);
            self.remove(*id, outbox);
        }
        self.keys.retain(|(of, _), _| *of != Some(owner));
        self.active_keys.retain(|(of, _, _), _| *of != Some(owner));
        ids.len() as u64
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

    /// Checks that the claim holds its task.
    pub(super) fn held(&self, claim: &ClaimKey) -> Result<()> {
        match self.tasks.get(&claim.task) {
            Some(task) => lifecycle::fence(task, claim),
            None => Err(lifecycle::claim_lost(claim)),
        }
    }

    fn known(&self, id: TaskId) -> Result<&Task> {
        self.tasks.get(&id).ok_or_else(|| Error::not_found(format!("task {id}")))
    }

    /// Applies a command to a task, with everything that follows from it.
    ///
    /// # Errors
    /// `NotFound` for an unknown task, and those of [`lifecycle::apply`]; nothing has changed then.
    fn apply(&mut self, id: TaskId, command: Command, now: DateTime<Utc>) -> Result<()> {
        self.unindex(id);
        let task = self.tasks.get_mut(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let applied = lifecycle::apply(task, command, now);
        self.index(id);
        self.follow(id, applied?, now);
        Ok(())
    }

    /// Enters a task into the queue, the leases and the active keys, as its state demands.
    fn index(&mut self, id: TaskId) {
        let Some(task) = self.tasks.get(&id) else { return };
        match task.status {
            TaskStatus::Pending if task.waiting_for == 0 => {
                self.later.insert((task.run_at, id));
            }
            TaskStatus::Processing => self.leases.extend(task.lease_until.map(|until| (until, id))),
            TaskStatus::Pending | TaskStatus::Completed | TaskStatus::Failed | TaskStatus::Cancelled => {}
        }
        if let Some(key) = unique_key(task).filter(|_| !task.status.has_ended()) {
            self.active_keys.insert(key, id);
        }
    }

    /// Removes a task from the queue, the leases and the active keys.
    fn unindex(&mut self, id: TaskId) {
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
        if let Some(key) = unique_key(task).filter(|_| !task.status.has_ended()) {
            self.active_keys.remove(&key);
        }
    }

    /// Does what follows from a transition: the event, the effects of the commit, the children, and the commands to the
    /// relatives of an ended task.
    fn follow(&mut self, id: TaskId, transition: Transition, at: DateTime<Utc>) {
        let Some(task) = self.tasks.get(&id) else { return };
        if transition.event.is_some() {
            self.effects.entered.push((task.agent.clone(), task.status));
        }
        if transition.wakes_queue {
            self.effects.wake_ups.push(WakeUp::Queue);
        }
        match transition.event {
            Some(event) => self.record(id, event, at),
            None if transition.wakes_subscribers => self.effects.wake_ups.push(WakeUp::Task(id)),
            None => {}
        }
        if let Some(wait) = transition.wait {
            self.wait(id, wait, at);
        }
        if transition.ended {
            self.settle(id, at);
        }
    }

    /// Notifies the parents that this task has ended, and cancels its own unfinished children.
    fn settle(&mut self, id: TaskId, at: DateTime<Utc>) {
        for parent in self.waiters.remove(&id).unwrap_or_default() {
            self.answer(parent, id, at);
            let _ = self.apply(parent, Command::ChildEnded, at);
        }
        let created = |child: &TaskId| {
            self.tasks.get(child).is_some_and(|task| task.parent == Some(id) && !task.status.has_ended())
        };
        let unfinished: Vec<TaskId> =
            self.children.get(&id).into_iter().flatten().copied().filter(created).collect();
        for child in unfinished {
            // Fails for a child that was named twice and has been cancelled already.
            let _ = self.apply(child, Command::Cancel, at);
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
