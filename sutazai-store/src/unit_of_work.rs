//! Unit of work over tasks: the state transitions of the task store, shared by all databases.
//!
//! A write loads the tasks that it needs, changes them here by the rules of the port, and flushes them in a
//! few statements over many rows. Loaded rows stay locked until the transaction ends, so what was decided on
//! them still holds when they are written.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sutazai_core::domain::{
    AgentMessage, ClaimKey, EventKind, Outcome as Ended, Task, TaskError, TaskEvent, TaskId, TaskStatus,
    UserId,
};
use sutazai_core::ports::{CommitEffects, WakeUp, deduplication_key_taken};
use sutazai_core::{Error, ErrorKind};

use crate::error::StoreResult;
use crate::task_repository::{DeduplicationKey, Record, TaskRepository, WriteSet};

/// Unit of work: the tasks loaded, changed and added by one transaction.
pub(crate) struct UnitOfWork<'t, R> {
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

impl<'t, R: TaskRepository> UnitOfWork<'t, R> {
    /// Creates an empty unit of work over an open transaction.
    pub(crate) fn new(rows: &'t mut R) -> Self {
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
    pub(crate) async fn load(&mut self, ids: impl IntoIterator<Item = TaskId>) -> StoreResult<()> {
        let known = &self.records;
        let missing: Vec<TaskId> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        if !missing.is_empty() {
            self.rows.load(&missing).await?.into_iter().for_each(|record| self.keep(record));
        }
        Ok(())
    }

    /// Returns whether this unit of work adds tasks.
    #[cfg(feature = "sqlite")]
    pub(crate) fn adds(&self) -> bool {
        !self.added.is_empty()
    }

    /// Adds a record that the caller has read and locked itself.
    pub(crate) fn keep(&mut self, record: Record) {
        self.records.entry(record.task.id).or_insert(record);
    }

    /// Returns the task if it was loaded and exists.
    pub(crate) fn task(&self, id: TaskId) -> Option<&Task> {
        self.records.get(&id).map(|record| &record.task)
    }

    /// Loads the task and returns its current state.
    ///
    /// # Errors
    /// `NotFound` for an unknown task.
    pub(crate) async fn existing(&mut self, id: TaskId) -> StoreResult<Task> {
        self.load([id]).await?;
        Ok(self.task(id).cloned().ok_or_else(|| Error::not_found(format!("task {id}")))?)
    }

    /// Returns whether another task waits for this one, which must be loaded.
    #[cfg(feature = "sqlite")]
    pub(crate) fn is_awaited(&self, id: TaskId) -> bool {
        self.records.get(&id).is_some_and(|record| record.awaited)
    }

    /// Returns whether this claim still holds its task.
    pub(crate) fn holds(&self, claim: &ClaimKey) -> bool {
        self.task(claim.task).is_some_and(|task| {
            task.status == TaskStatus::Processing
                && task.attempt == claim.attempt
                && task.worker == Some(claim.worker)
        })
    }

    /// Checks that a loaded task is still held under this claim.
    ///
    /// # Errors
    /// `Conflict` for a claim that no longer holds its task.
    pub(crate) fn fence(&self, claim: &ClaimKey) -> Result<(), Error> {
        if self.holds(claim) {
            return Ok(());
        }
        Err(spent(claim))
    }

    /// Changes a loaded task and sets `updated_at`.
    pub(crate) fn change(&mut self, id: TaskId, now: DateTime<Utc>, how: impl FnOnce(&mut Task)) {
        if let Some(record) = self.records.get_mut(&id) {
            how(&mut record.task);
            record.task.updated_at = now;
            if self.seen.insert(id) {
                self.changed.push(id);
            }
        }
    }

    /// Appends an event to a loaded task, with the next sequence number.
    pub(crate) fn event(&mut self, id: TaskId, at: DateTime<Utc>, kind: EventKind) {
        if let Some(record) = self.records.get_mut(&id) {
            record.last_sequence = record.last_sequence.saturating_add(1);
            let event = TaskEvent { task_id: id, sequence: record.last_sequence, at, kind };
            self.events.push((record.task.owner, event));
            if self.seen.insert(id) {
                self.changed.push(id);
            }
        }
    }

    /// Appends the event that a loaded task has entered its current status.
    pub(crate) fn status_event(&mut self, id: TaskId, at: DateTime<Utc>, error: Option<TaskError>) {
        if let Some(task) = self.task(id) {
            let kind = EventKind::Status { status: task.status, attempt: task.attempt, error };
            self.event(id, at, kind);
        }
    }

    /// Adds a task with its first event, or returns the existing task with the same idempotency or
    /// deduplication key.
    pub(crate) async fn add(&mut self, task: Task) -> StoreResult<TaskId> {
        let (id, at) = (task.id, task.created_at);
        if let Some(key) = &task.idempotency_key {
            if let Some(known) = self.with_key(task.owner, key).await? {
                self.load([known]).await?;
                return Ok(known);
            }
            self.keys.insert((task.owner, key.clone()), id);
        }
        if let Some(key) = DeduplicationKey::of(&task) {
            if let Some(standing) = self.standing(&key).await? {
                return Ok(standing);
            }
            self.unique.insert(key, id);
        }
        self.seen.insert(id);
        self.added.push(id);
        self.records.insert(id, Record::new(task.as_added()));
        self.status_event(id, at, None);
        if task.status == TaskStatus::Processing {
            let at = task.updated_at;
            self.change(id, at, |added| *added = task);
            self.status_event(id, at, None);
        } else {
            self.queue = true;
        }
        Ok(id)
    }

    /// Makes a loaded task pending and releases its claim; it is due at `run_at` unless it waits for
    /// children.
    fn requeue(&mut self, id: TaskId, now: DateTime<Utc>, error: Option<TaskError>) {
        let mut due = false;
        self.change(id, now, |task| {
            task.status = TaskStatus::Pending;
            task.worker = None;
            task.lease_until = None;
            if error.is_some() {
                task.error.clone_from(&error);
            }
            due = task.waiting_for == 0;
        });
        self.status_event(id, now, error);
        self.queue |= due;
    }

    /// Ends a loaded task: decrements the count of each parent that waits for it, and cancels its own open
    /// children.
    async fn end(
        &mut self,
        id: TaskId,
        now: DateTime<Utc>,
        status: TaskStatus,
        error: Option<TaskError>,
    ) -> StoreResult<()> {
        // A loop over a stack, since ending one task may cancel a whole subtree: recursion in async code
        // would need a boxed future for each level.
        let mut ending = vec![(id, status, error)];
        while let Some((id, status, error)) = ending.pop() {
            self.change(id, now, |task| {
                task.status = status;
                if error.is_some() {
                    task.error.clone_from(&error);
                }
                task.waiting_for = 0;
                task.cancel_requested = false;
                task.worker = None;
                task.lease_until = None;
                task.finished_at = Some(now);
            });
            self.status_event(id, now, error);
            self.count_off(id, now).await?;
            for child in self.open_children(id).await? {
                if self.task(child).is_some_and(|task| task.status == TaskStatus::Processing) {
                    self.change(child, now, |task| task.cancel_requested = true);
                    self.tell(child);
                } else {
                    ending.push((child, TaskStatus::Cancelled, None));
                }
            }
        }
        Ok(())
    }

    /// Records the outcome of an attempt of a loaded task.
    pub(crate) async fn record(&mut self, id: TaskId, outcome: Ended, now: DateTime<Utc>) -> StoreResult<()> {
        let stop = self.task(id).is_some_and(|task| task.cancel_requested);
        match outcome {
            // The result is set before the end, since the message `RESULT` to each parent is made from it.
            Ended::Completed(result) => {
                self.change(id, now, |task| {
                    task.result = Some(result);
                    task.error = None;
                });
                self.end(id, now, TaskStatus::Completed, None).await
            }
            Ended::Failed(error) => {
                self.change(id, now, |task| task.failures = task.failures.saturating_add(1));
                self.end(id, now, TaskStatus::Failed, Some(error)).await
            }
            Ended::Cancelled => self.end(id, now, TaskStatus::Cancelled, None).await,
            // A cancellation was requested, so outcomes that would run the task again end it instead.
            _ if stop => self.end(id, now, TaskStatus::Cancelled, None).await,
            Ended::Retry { at, error } => {
                self.change(id, now, |task| {
                    task.failures = task.failures.saturating_add(1);
                    task.run_at = at;
                });
                self.requeue(id, now, Some(error));
                Ok(())
            }
            Ended::Released => {
                self.requeue(id, now, None);
                Ok(())
            }
            Ended::Wait { children, state } => {
                self.change(id, now, |task| task.state = Some(state));
                self.wait(id, children, now).await
            }
        }
    }

    /// Returns the error to record if columns of a loaded task cannot be read, `None` if it can be run.
    #[cfg(feature = "sqlite")]
    pub(crate) fn damage(&self, id: TaskId) -> Option<TaskError> {
        self.records.get(&id)?.damage()
    }

    /// Ends a loaded task as failed although no worker holds it.
    #[cfg(feature = "sqlite")]
    pub(crate) async fn fail(&mut self, id: TaskId, now: DateTime<Utc>, error: TaskError) -> StoreResult<()> {
        self.end(id, now, TaskStatus::Failed, Some(error)).await
    }

    /// Notifies the parents and subscribers of a task that was ended by a direct statement instead of by
    /// [`end`](Self::end).
    pub(crate) async fn after_parking(&mut self, id: TaskId, now: DateTime<Utc>) -> StoreResult<()> {
        self.load([id]).await?;
        self.tell(id);
        self.count_off(id, now).await
    }

    /// Reaps the expired lease of a loaded task: counts a failure, then requeues the task or ends it.
    pub(crate) async fn reap(&mut self, id: TaskId, now: DateTime<Utc>) -> StoreResult<()> {
        let Some(task) = self.task(id) else { return Ok(()) };
        let failures = task.failures.saturating_add(1);
        let (cancelled, spent) = (task.cancel_requested, failures >= task.max_attempts);
        let error = TaskError { kind: ErrorKind::Timeout, message: "the lease of the worker expired".into() };
        self.change(id, now, |task| task.failures = failures);
        if cancelled {
            self.end(id, now, TaskStatus::Cancelled, None).await
        } else if spent {
            self.end(id, now, TaskStatus::Failed, Some(error)).await
        } else {
            self.requeue(id, now, Some(error));
            Ok(())
        }
    }

    /// Cancels a pending task or requests the cancellation of a running one, and returns its new state.
    pub(crate) async fn cancel(&mut self, id: TaskId, now: DateTime<Utc>) -> StoreResult<Task> {
        match self.existing(id).await?.status {
            TaskStatus::Pending => self.end(id, now, TaskStatus::Cancelled, None).await?,
            TaskStatus::Processing => {
                self.change(id, now, |task| task.cancel_requested = true);
                self.tell(id);
            }
            ended => Err(Error::conflict(format!("the task has already ended: {ended}")))?,
        }
        self.existing(id).await
    }

    /// Puts a failed task back into the queue with no failures counted, and returns its new state.
    pub(crate) async fn retry(&mut self, id: TaskId, now: DateTime<Utc>) -> StoreResult<Task> {
        let status = self.existing(id).await?.status;
        if status != TaskStatus::Failed {
            Err(Error::conflict(format!("only a failed task can be retried, and this one is {status}")))?;
        }
        if let Some(key) = self.task(id).and_then(DeduplicationKey::of)
            && let Some(standing) = self.standing(&key).await?
        {
            Err(deduplication_key_taken(standing))?;
        }
        self.change(id, now, |task| {
            task.failures = 0;
            task.run_at = now;
            task.finished_at = None;
        });
        self.requeue(id, now, None);
        self.existing(id).await
    }

    /// Checks that a task may be deleted.
    ///
    /// # Errors
    /// `NotFound` for an unknown task, `Conflict` for one that has not ended.
    pub(crate) async fn deletable(&mut self, id: TaskId) -> StoreResult<()> {
        let status = self.existing(id).await?.status;
        if status.has_ended() {
            return Ok(());
        }
        Err(Error::conflict(format!("only an ended task can be deleted, and this one is {status}")))?
    }

    /// Makes a loaded task pending and waiting for `children`, which are added unless their keys name
    /// existing tasks.
    async fn wait(&mut self, id: TaskId, children: Vec<Task>, now: DateTime<Utc>) -> StoreResult<()> {
        let mut requested = Vec::with_capacity(children.len());
        for child in children {
            requested.push(self.add(Task { parent: Some(id), ..child }).await?);
        }
        let mut open: HashSet<TaskId> = requested.iter().copied().collect();
        open.retain(|child| self.task(*child).is_some_and(|task| !task.status.has_ended()));
        for child in &open {
            self.change(*child, now, |_| {});
            if let Some(record) = self.records.get_mut(child) {
                record.awaited = true;
            }
        }
        self.rows.set_waits(id, &requested, &open).await?;
        let mut seen = HashSet::new();
        requested.retain(|child| seen.insert(*child));
        for child in requested {
            self.say(id, child, |waiting, child| Some(AgentMessage::ask(waiting, child, now)));
            self.say(id, child, |waiting, child| AgentMessage::answer(waiting, child, now));
        }
        self.change(id, now, |task| task.waiting_for = u32::try_from(open.len()).unwrap_or(u32::MAX));
        self.requeue(id, now, None);
        Ok(())
    }

    /// Returns what these tasks asked for in their last wait, in order, as pairs of task and child; loads the
    /// children.
    pub(crate) async fn children(&mut self, parents: &[TaskId]) -> StoreResult<Vec<(TaskId, TaskId)>> {
        let pairs = self.rows.waits(parents).await?;
        self.load(pairs.iter().map(|(_, child)| *child)).await?;
        Ok(pairs)
    }

    /// Decrements `waiting_for` of each parent that waits for `child`; a parent that reaches zero becomes
    /// due.
    async fn count_off(&mut self, child: TaskId, now: DateTime<Utc>) -> StoreResult<()> {
        let Some(record) = self.records.get_mut(&child).filter(|record| record.awaited) else {
            return Ok(());
        };
        record.awaited = false;
        let parents = self.rows.close_waits(child).await?;
        self.load(parents.iter().copied()).await?;
        for parent in parents {
            self.say(parent, child, |waiting, child| AgentMessage::answer(waiting, child, now));
            let mut last = false;
            if self
                .task(parent)
                .is_some_and(|task| task.status == TaskStatus::Pending && task.waiting_for > 0)
            {
                self.change(parent, now, |task| {
                    task.waiting_for -= 1;
                    last = task.waiting_for == 0;
                });
            }
            self.queue |= last;
        }
        Ok(())
    }

    /// Returns the children that a loaded task created in its last wait and that have not ended, each once;
    /// loads them.
    async fn open_children(&mut self, id: TaskId) -> StoreResult<Vec<TaskId>> {
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

    /// Wakes the subscribers of a task, even without a new event.
    fn tell(&mut self, id: TaskId) {
        self.told.push(id);
    }

    /// Returns the existing task of this owner with this idempotency key.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> StoreResult<Option<TaskId>> {
        if let Some(id) = self.keys.get(&(owner, key.to_owned())) {
            return Ok(Some(*id));
        }
        self.rows.with_key(owner, key).await
    }

    /// Returns the pending or processing task with this deduplication key, and loads it.
    async fn standing(&mut self, key: &DeduplicationKey) -> StoreResult<Option<TaskId>> {
        let known = match self.unique.get(key) {
            Some(id) => Some(*id),
            None => self.rows.standing(key).await?,
        };
        let Some(id) = known else { return Ok(None) };
        self.load([id]).await?;
        // The row was read without a lock: the task may have ended before it was loaded, or in this
        // transaction.
        Ok(self.task(id).filter(|task| !task.status.has_ended()).map(|task| task.id))
    }

    /// Writes all changes in a few statements and keeps the wake-ups for after the commit.
    pub(crate) async fn flush(self) -> StoreResult<()> {
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

/// Builds the `Conflict` error of a claim that no longer holds its task.
pub(crate) fn spent(claim: &ClaimKey) -> Error {
    Error::conflict(format!(
        "attempt {} of task {} is no longer held by this worker",
        claim.attempt, claim.task
    ))
}
