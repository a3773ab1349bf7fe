//! Unit of work over tasks, shared by all stores: applies commands of the life cycle to rows.
//!
//! A write loads the tasks that it needs, changes them here as [`lifecycle`] decides, and flushes them in a
//! few statements over many rows. Loaded rows stay locked until the transaction ends, so what was decided on
//! them still holds when they are written.

use std::collections::{HashMap, HashSet};
use std::fmt;

use chrono::{DateTime, Utc};

use super::repository::{DeduplicationKey, Record, TaskRepository, WriteSet};
use crate::domain::task::lifecycle::{self, Command, Transition};
use crate::domain::{
    AgentMessage, ClaimKey, EventKind, Task, TaskError, TaskEvent, TaskId, TaskStatus, UserId, Wait,
};
use crate::error::{Error, Result};
use crate::ports::{CommitEffects, WakeUp, deduplication_key_taken};

/// Unit of work: the tasks loaded, changed and added by one transaction.
///
/// Nothing is written before [`flush`](Self::flush), except which tasks wait for which. Without it the changes are
/// dropped, and the caller rolls the transaction back.
#[must_use = "changes are written by `flush`"]
pub struct UnitOfWork<'t, R> {
    rows: &'t mut R,
    records: HashMap<TaskId, Record>,
    /// Changed tasks, in the order of their first change.
    changed: Vec<TaskId>,
    added: Vec<TaskId>,
    /// Idempotency keys of the added tasks.
    keys: HashMap<(Option<UserId>, String), TaskId>,
    /// Deduplication keys of the added tasks.
    unique: HashMap<DeduplicationKey, TaskId>,
    seen: HashSet<TaskId>,
    events: Vec<(Option<UserId>, TaskEvent)>,
    messages: Vec<AgentMessage>,
    /// Tasks whose subscribers are woken although they have no new event.
    told: Vec<TaskId>,
    queue: bool,
}

impl<R> fmt::Debug for UnitOfWork<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (changed, added) = (&self.changed, &self.added);
        f.debug_struct("UnitOfWork").field("changed", changed).field("added", added).finish_non_exhaustive()
    }
}

impl<'t, R: TaskRepository> UnitOfWork<'t, R> {
    /// Creates an empty unit of work over an open transaction.
    pub fn new(rows: &'t mut R) -> Self {
        Self {
            rows,
            records: HashMap::new(),
            changed: Vec::new(),
            added: Vec::new(),
            keys: HashMap::new(),
            unique: HashMap::new(),
            seen: HashSet::new(),
            events: Vec::new(),
            messages: Vec::new(),
            told: Vec::new(),
            queue: false,
        }
    }

    /// Loads these tasks, except those that are loaded already; unknown ids are ignored.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn load(&mut self, ids: impl IntoIterator<Item = TaskId>) -> Result<(), R::Error> {
        let known = &self.records;
        let missing: Vec<TaskId> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        if !missing.is_empty() {
            self.rows.load(&missing).await?.into_iter().for_each(|record| self.keep(record));
        }
        Ok(())
    }

    /// Returns whether this unit of work adds tasks.
    pub fn adds(&self) -> bool {
        !self.added.is_empty()
    }

    /// Adds a record that the caller has read and locked itself.
    pub fn keep(&mut self, record: Record) {
        self.records.entry(record.task.id).or_insert(record);
    }

    /// Returns the task if it was loaded and exists.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.records.get(&id).map(|record| &record.task)
    }

    /// Loads the task and returns its current state.
    ///
    /// # Errors
    /// `NotFound` for an unknown task, and those of the repository.
    pub async fn existing(&mut self, id: TaskId) -> Result<Task, R::Error> {
        self.load([id]).await?;
        Ok(self.task(id).cloned().ok_or_else(|| Error::not_found(format!("task {id}")))?)
    }

    /// Returns whether another task waits for this one, which must be loaded.
    pub fn is_awaited(&self, id: TaskId) -> bool {
        self.records.get(&id).is_some_and(|record| record.awaited)
    }

    /// Checks that a loaded task is still held under this claim.
    ///
    /// # Errors
    /// `Conflict` for a claim that no longer holds its task.
    pub fn fence(&self, claim: &ClaimKey) -> Result<(), Error> {
        self.task(claim.task)
            .map_or_else(|| Err(lifecycle::claim_lost(claim)), |task| lifecycle::fence(task, claim))
    }

    /// Includes a record in the update at the end.
    fn mark(&mut self, id: TaskId) {
        if self.seen.insert(id) {
            self.changed.push(id);
        }
    }

    /// Appends an event to a loaded task, with the next sequence number.
    pub fn event(&mut self, id: TaskId, at: DateTime<Utc>, kind: EventKind) {
        if let Some(record) = self.records.get_mut(&id) {
            record.last_sequence = record.last_sequence.saturating_add(1);
            let event = TaskEvent { task_id: id, sequence: record.last_sequence, at, kind };
            self.events.push((record.task.owner, event));
            self.mark(id);
        }
    }

    /// Adds a task with its first event, or returns the existing task with the same idempotency or
    /// deduplication key.
    ///
    /// # Errors
    /// Those of the repository. A task whose id is taken is an error of the flush.
    pub async fn add(&mut self, task: Task) -> Result<TaskId, R::Error> {
        let (id, at) = (task.id, task.created_at);
        if let Some(key) = &task.idempotency_key {
            if let Some(known) = self.with_key(task.owner, key).await? {
                self.load([known]).await?;
                return Ok(known);
            }
            self.keys.insert((task.owner, key.clone()), id);
        }
        if let Some(key) = DeduplicationKey::of(&task) {
            if let Some(active) = self.active_with_key(&key).await? {
                return Ok(active);
            }
            self.unique.insert(key, id);
        }
        self.seen.insert(id);
        self.added.push(id);
        let mut added = Record::new(task.as_added());
        let mut transitions = vec![(lifecycle::enqueued(&added.task), at)];
        if let Some(((worker, lease_until), now)) = task.worker.zip(task.lease_until).zip(task.started_at) {
            // A task that is added as claimed is not to be claimed from the queue.
            transitions[0].0.wakes_queue = false;
            let claim = Command::Claim { worker, lease_until };
            transitions.push((lifecycle::apply(&mut added.task, claim, now)?, now));
        }
        self.records.insert(id, added);
        for (transition, at) in transitions {
            self.note(id, transition, at);
        }
        Ok(id)
    }

    /// Applies a command to a loaded task, with everything that follows for its relatives, which are loaded.
    /// The inner error is the refusal of the command; nothing has changed then.
    ///
    /// # Errors
    /// Those of the repository; the transaction must then be rolled back.
    pub async fn apply(
        &mut self,
        id: TaskId,
        command: Command,
        now: DateTime<Utc>,
    ) -> Result<Result<(), Error>, R::Error> {
        // A loop over a stack, since the end of one task may cancel a whole subtree: recursion in async code
        // would need a boxed future for each level.
        let mut commands = vec![(id, command)];
        let mut is_first = true;
        while let Some((id, command)) = commands.pop() {
            let Some(record) = self.records.get_mut(&id) else {
                return Ok(Err(Error::not_found(format!("task {id}"))));
            };
            let mut transition = match lifecycle::apply(&mut record.task, command, now) {
                Ok(transition) => transition,
                Err(refusal) if is_first => return Ok(Err(refusal)),
                // A relative that has ended by another way in the meantime.
                Err(_) => continue,
            };
            is_first = false;
            let (wait, ended) = (transition.wait.take(), transition.ended);
            self.note(id, transition, now);
            if let Some(wait) = wait {
                commands.push((id, self.wait(id, wait, now).await?));
            }
            if ended {
                let parents = self.close_waits(id, now).await?;
                commands.extend(parents.into_iter().map(|parent| (parent, Command::ChildEnded)));
                let children = self.open_children(id).await?;
                commands.extend(children.into_iter().map(|child| (child, Command::Cancel)));
            }
        }
        Ok(Ok(()))
    }

    /// Keeps the event and the wake-ups of a transition for the flush.
    fn note(&mut self, id: TaskId, transition: Transition, now: DateTime<Utc>) {
        if transition.changed {
            self.mark(id);
        }
        self.queue |= transition.wakes_queue;
        match transition.event {
            Some(event) => self.event(id, now, event),
            None if transition.wakes_subscribers => self.told.push(id),
            None => {}
        }
    }

    /// Returns the error to record if columns of a loaded task cannot be read, `None` if it can be run.
    pub fn damage(&self, id: TaskId) -> Option<TaskError> {
        self.records.get(&id)?.damage()
    }

    /// Notifies the parents and subscribers of a task that was ended by a direct statement instead of by
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn after_parking(&mut self, id: TaskId, now: DateTime<Utc>) -> Result<(), R::Error> {
        self.load([id]).await?;
        self.told.push(id);
        for parent in self.close_waits(id, now).await? {
            // A parent never refuses it.
            let _ = self.apply(parent, Command::ChildEnded, now).await?;
        }
        Ok(())
    }

    /// Cancels a pending task or requests the cancellation of a running one, and returns its new state.
    ///
    /// # Errors
    /// `NotFound` for an unknown task, `Conflict` for one that has ended, and those of the repository.
    pub async fn cancel(&mut self, id: TaskId, now: DateTime<Utc>) -> Result<Task, R::Error> {
        self.load([id]).await?;
        self.apply(id, Command::Cancel, now).await??;
        self.existing(id).await
    }

    /// Puts a failed task back into the queue with no failures counted, and returns its new state.
    ///
    /// # Errors
    /// `NotFound` for an unknown task, `Conflict` for one that has not failed or whose deduplication key another
    /// unfinished task has, and those of the repository.
    pub async fn retry(&mut self, id: TaskId, now: DateTime<Utc>) -> Result<Task, R::Error> {
        let task = self.existing(id).await?;
        if task.status == TaskStatus::Failed
            && let Some(key) = DeduplicationKey::of(&task)
            && let Some(active) = self.active_with_key(&key).await?
        {
            Err(deduplication_key_taken(active))?;
        }
        self.apply(id, Command::RetryByHand, now).await??;
        self.existing(id).await
    }

    /// Checks that a task may be deleted.
    ///
    /// # Errors
    /// `NotFound` for an unknown task, `Conflict` for one that has not ended, and those of the repository.
    pub async fn check_deletion(&mut self, id: TaskId) -> Result<(), R::Error> {
        Ok(lifecycle::check_deletion(&self.existing(id).await?)?)
    }

    /// Adds the children that a loaded task waits for, unless their keys name existing tasks; returns the
    /// command that tells it how many have not ended.
    async fn wait(&mut self, id: TaskId, wait: Wait, now: DateTime<Utc>) -> Result<Command, R::Error> {
        let mut requested = Vec::with_capacity(wait.children.len());
        for child in wait.children {
            requested.push(self.add(child).await?);
        }
        self.load(wait.unfinished.iter().copied()).await?;
        let is_new = |child: &TaskId| !requested.contains(child);
        let (kept, deleted): (Vec<TaskId>, Vec<TaskId>) =
            wait.unfinished.into_iter().filter(is_new).partition(|child| self.records.contains_key(child));
        let children = [kept, requested.clone()].concat();
        let different: HashSet<TaskId> = children.iter().copied().collect();
        let mut open = different.clone();
        open.retain(|child| self.task(*child).is_some_and(|task| !task.status.has_ended()));
        for child in &open {
            if let Some(record) = self.records.get_mut(child) {
                record.awaited = true;
            }
            self.mark(*child);
        }
        self.rows.set_waits(id, &children, &open).await?;
        let mut told = HashSet::new();
        requested.retain(|child| told.insert(*child));
        for child in requested {
            self.say(id, child, |waiting, child| Some(AgentMessage::ask(waiting, child, now)));
            self.say(id, child, |waiting, child| AgentMessage::answer(waiting, child, now));
        }
        let count = |children: usize| u32::try_from(children).unwrap_or(u32::MAX);
        // A child that was deleted after the claim had ended.
        let ended = different.len() - open.len() + deleted.len();
        Ok(Command::AwaitChildren { until: wait.until, unfinished: count(open.len()), ended: count(ended) })
    }

    /// Returns the children that these tasks requested in their last wait, in order, as pairs of task and child; loads
    /// the children.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn children(&mut self, parents: &[TaskId]) -> Result<Vec<(TaskId, TaskId)>, R::Error> {
        let pairs = self.rows.waits(parents).await?;
        self.load(pairs.iter().map(|(_, child)| *child)).await?;
        Ok(pairs)
    }

    /// Closes the waits for a loaded task that has ended; returns the parents that waited, which are loaded.
    async fn close_waits(&mut self, child: TaskId, now: DateTime<Utc>) -> Result<Vec<TaskId>, R::Error> {
        let Some(record) = self.records.get_mut(&child).filter(|record| record.awaited) else {
            return Ok(Vec::new());
        };
        record.awaited = false;
        let parents = self.rows.close_waits(child).await?;
        self.load(parents.iter().copied()).await?;
        for parent in &parents {
            self.say(*parent, child, |waiting, child| AgentMessage::answer(waiting, child, now));
        }
        Ok(parents.into_iter().filter(|parent| self.records.contains_key(parent)).collect())
    }

    /// Returns the children that a loaded task created in its last wait and that have not ended, each once;
    /// loads them.
    async fn open_children(&mut self, id: TaskId) -> Result<Vec<TaskId>, R::Error> {
        if self.task(id).is_none_or(|task| task.state.is_none()) {
            return Ok(Vec::new());
        }
        let mut children: Vec<TaskId> =
            self.children(&[id]).await?.into_iter().map(|(_, child)| child).collect();
        let mut seen = HashSet::new();
        children.retain(|child| {
            seen.insert(*child)
                && self.task(*child).is_some_and(|task| task.parent == Some(id) && !task.status.has_ended())
        });
        Ok(children)
    }

    /// Adds a message between the agents of two loaded tasks.
    fn say(
        &mut self,
        waiting: TaskId,
        child: TaskId,
        message: impl FnOnce(&Task, &Task) -> Option<AgentMessage>,
    ) {
        if let (Some(waiting), Some(child)) = (self.task(waiting), self.task(child)) {
            let message = message(waiting, child);
            self.messages.extend(message);
        }
    }

    /// Returns the existing task of this owner with this idempotency key.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> Result<Option<TaskId>, R::Error> {
        if let Some(id) = self.keys.get(&(owner, key.to_owned())) {
            return Ok(Some(*id));
        }
        self.rows.with_key(owner, key).await
    }

    /// Returns the pending or processing task with this deduplication key, and loads it.
    async fn active_with_key(&mut self, key: &DeduplicationKey) -> Result<Option<TaskId>, R::Error> {
        let known = match self.unique.get(key) {
            Some(id) => Some(*id),
            None => self.rows.active_with_key(key).await?,
        };
        let Some(id) = known else { return Ok(None) };
        self.load([id]).await?;
        // The row was read without a lock: the task may have ended before it was loaded, or in this
        // transaction.
        Ok(self.task(id).filter(|task| !task.status.has_ended()).map(|task| task.id))
    }

    /// Writes all changes in a few statements and keeps the wake-ups for after the commit.
    ///
    /// # Errors
    /// Those of the repository; the transaction must then be rolled back.
    pub async fn flush(self) -> Result<(), R::Error> {
        let Self { rows, records, changed, added, events, messages, told, queue, .. } = self;
        let of = |ids: &[TaskId]| ids.iter().filter_map(|id| records.get(id)).collect::<Vec<_>>();
        rows.write(WriteSet {
            added: of(&added),
            changed: of(&changed),
            events: &events,
            messages: &messages,
        })
        .await?;
        let mut notified = HashSet::new();
        let updated =
            events.iter().map(|(_, event)| event.task_id).chain(told).filter(|id| notified.insert(*id));
        let entered = events.iter().filter_map(|(_, event)| match event.kind {
            EventKind::Status { status, .. } => {
                Some((records.get(&event.task_id)?.task.agent.clone(), status))
            }
            _ => None,
        });
        let woken = queue.then_some(WakeUp::Queue).into_iter().chain(updated.map(WakeUp::Task));
        rows.after_commit(CommitEffects { wake_ups: woken.collect(), entered: entered.collect() });
        Ok(())
    }
}
