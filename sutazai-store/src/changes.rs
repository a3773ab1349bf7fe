//! The tasks that one write changes, and the rules of changing them: the same over every database.
//!
//! A write loads what it needs, changes it here by the rules of the port, and flushes it in a few statements
//! over many rows. Nobody else changes what was loaded before the transaction ends, so it is still true when it is
//! written.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sutazai_core::domain::{
    AgentMessage, ClaimKey, EventKind, Outcome as Ended, Task, TaskError, TaskEvent, TaskId, TaskStatus,
    UserId,
};
use sutazai_core::ports::{WakeUp, unique_key_taken};
use sutazai_core::{Error, ErrorKind};

use crate::fault::Outcome;
use crate::rows::{Flush, Record, Rows, UniqueKey};

/// Tasks under change.
pub(crate) struct Changes<'t, R> {
    rows: &'t mut R,
    records: HashMap<TaskId, Record>,
    /// Changed ones, in the order of their first change.
    changed: Vec<TaskId>,
    added: Vec<TaskId>,
    /// Idempotency keys of the added ones.
    keys: HashMap<(Option<UserId>, String), TaskId>,
    /// The added ones that have a unique key.
    unique: HashMap<UniqueKey, TaskId>,
    seen: HashSet<TaskId>,
    events: Vec<(Option<UserId>, TaskEvent)>,
    messages: Vec<AgentMessage>,
    /// Tasks of which there is news without an event.
    told: Vec<TaskId>,
    queue: bool,
}

impl<'t, R: Rows> Changes<'t, R> {
    /// Nothing loaded yet.
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

    /// Loads these, as far as they exist and are not loaded yet.
    pub(crate) async fn load(&mut self, ids: impl IntoIterator<Item = TaskId>) -> Outcome<()> {
        let known = &self.records;
        let missing: Vec<TaskId> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        if !missing.is_empty() {
            self.rows.load(&missing).await?.into_iter().for_each(|record| self.keep(record));
        }
        Ok(())
    }

    /// Whether there are tasks to be added.
    pub(crate) fn adds(&self) -> bool {
        !self.added.is_empty()
    }

    /// Keeps a record that was read from its row.
    pub(crate) fn keep(&mut self, record: Record) {
        self.records.entry(record.task.id).or_insert(record);
    }

    /// The task, if it was loaded and exists.
    pub(crate) fn task(&self, id: TaskId) -> Option<&Task> {
        self.records.get(&id).map(|record| &record.task)
    }

    /// The task with its latest event's sequence, as it stands now.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn existing(&mut self, id: TaskId) -> Outcome<Task> {
        self.load([id]).await?;
        Ok(self.task(id).cloned().ok_or_else(|| Error::not_found(format!("task {id}")))?)
    }

    /// Whether another task waits for this one, which was loaded.
    pub(crate) fn is_awaited(&self, id: TaskId) -> bool {
        self.records.get(&id).is_some_and(|record| record.awaited)
    }

    /// Whether this claim still holds its task.
    pub(crate) fn holds(&self, claim: &ClaimKey) -> bool {
        self.task(claim.task).is_some_and(|task| {
            task.status == TaskStatus::Processing
                && task.attempt == claim.attempt
                && task.worker == Some(claim.worker)
        })
    }

    /// The task for a change under its claim.
    ///
    /// # Errors
    /// `Conflict` when the claim is spent.
    pub(crate) fn fence(&self, claim: &ClaimKey) -> Result<(), Error> {
        if self.holds(claim) {
            return Ok(());
        }
        Err(spent(claim))
    }

    /// Changes a loaded task and notes when.
    pub(crate) fn change(&mut self, id: TaskId, now: DateTime<Utc>, how: impl FnOnce(&mut Task)) {
        if let Some(record) = self.records.get_mut(&id) {
            how(&mut record.task);
            record.task.updated_at = now;
            if self.seen.insert(id) {
                self.changed.push(id);
            }
        }
    }

    /// Numbers an event of a loaded task.
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

    /// The event that a loaded task has entered its status.
    pub(crate) fn status_event(&mut self, id: TaskId, at: DateTime<Utc>, error: Option<TaskError>) {
        if let Some(task) = self.task(id) {
            let kind = EventKind::Status { status: task.status, attempt: task.attempt, error };
            self.event(id, at, kind);
        }
    }

    /// Adds a task with its first event, or gives the earlier one that its idempotency or unique key names.
    pub(crate) async fn add(&mut self, task: Task) -> Outcome<TaskId> {
        let (id, at) = (task.id, task.created_at);
        if let Some(key) = &task.idempotency_key {
            if let Some(known) = self.with_key(task.owner, key).await? {
                self.load([known]).await?;
                return Ok(known);
            }
            self.keys.insert((task.owner, key.clone()), id);
        }
        if let Some(key) = UniqueKey::of(&task) {
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

    /// Makes a loaded task pending, held by nobody; due at its `run_at`, unless it waits for children.
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

    /// Ends a loaded task for good: counts it off where it is waited for, and cancels what it still waits for.
    async fn end(
        &mut self,
        id: TaskId,
        now: DateTime<Utc>,
        status: TaskStatus,
        error: Option<TaskError>,
    ) -> Outcome<()> {
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

    /// Records how an attempt of a loaded task ended.
    pub(crate) async fn record(&mut self, id: TaskId, outcome: Ended, now: DateTime<Utc>) -> Outcome<()> {
        let stop = self.task(id).is_some_and(|task| task.cancel_requested);
        match outcome {
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
            // It would run again, but somebody asked for it to stop.
            _ if stop => self.end(id, now, TaskStatus::Cancelled, None).await,
            Ended::Retry { at, error } => {
                self.change(id, now, |task| {
                    task.failures = task.failures.saturating_add(1);
                    task.run_at = at;
                });
                self.requeue(id, now, Some(error));
                Ok(())
            }
            Ended::HandBack => {
                self.requeue(id, now, None);
                Ok(())
            }
            Ended::Wait { children, state } => {
                self.change(id, now, |task| task.state = Some(state));
                self.wait(id, children, now).await
            }
        }
    }

    /// Why a loaded task cannot be run, if it was stored with columns that cannot be read.
    pub(crate) fn damage(&self, id: TaskId) -> Option<TaskError> {
        self.records.get(&id)?.damage()
    }

    /// Ends a loaded task as failed that no worker has held.
    pub(crate) async fn fail(&mut self, id: TaskId, now: DateTime<Utc>, error: TaskError) -> Outcome<()> {
        self.end(id, now, TaskStatus::Failed, Some(error)).await
    }

    /// Tells those who wait for a task, and those who follow it, that it was ended beside the rules.
    pub(crate) async fn after_parking(&mut self, id: TaskId, now: DateTime<Utc>) -> Outcome<()> {
        self.load([id]).await?;
        self.tell(id);
        self.count_off(id, now).await
    }

    /// Takes a loaded task back from a worker whose lease ran out.
    pub(crate) async fn take_back(&mut self, id: TaskId, now: DateTime<Utc>) -> Outcome<()> {
        let Some(task) = self.task(id) else { return Ok(()) };
        let failures = task.failures.saturating_add(1);
        let (cancelled, spent) = (task.cancel_requested, failures >= task.max_attempts);
        let error = TaskError { kind: ErrorKind::Timeout, message: "the worker's lease ran out".into() };
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

    /// Ends a pending task, asks a running one to stop; gives it as it stands.
    pub(crate) async fn cancel(&mut self, id: TaskId, now: DateTime<Utc>) -> Outcome<Task> {
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

    /// Puts a failed task back into the queue; gives it as it stands.
    pub(crate) async fn retry(&mut self, id: TaskId, now: DateTime<Utc>) -> Outcome<Task> {
        let status = self.existing(id).await?.status;
        if status != TaskStatus::Failed {
            Err(Error::conflict(format!("only a failed task can be retried, and this one is {status}")))?;
        }
        if let Some(key) = self.task(id).and_then(UniqueKey::of)
            && let Some(standing) = self.standing(&key).await?
        {
            Err(unique_key_taken(standing))?;
        }
        self.change(id, now, |task| {
            task.failures = 0;
            task.run_at = now;
            task.finished_at = None;
        });
        self.requeue(id, now, None);
        self.existing(id).await
    }

    /// Whether a task may be deleted.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it has not ended.
    pub(crate) async fn deletable(&mut self, id: TaskId) -> Outcome<()> {
        let status = self.existing(id).await?.status;
        if status.has_ended() {
            return Ok(());
        }
        Err(Error::conflict(format!("only an ended task can be deleted, and this one is {status}")))?
    }

    /// Makes a loaded task wait for `children`, new ones or known ones, and pending.
    async fn wait(&mut self, id: TaskId, children: Vec<Task>, now: DateTime<Utc>) -> Outcome<()> {
        let mut asked = Vec::with_capacity(children.len());
        for child in children {
            asked.push(self.add(Task { parent: Some(id), ..child }).await?);
        }
        let mut open: HashSet<TaskId> = asked.iter().copied().collect();
        open.retain(|child| self.task(*child).is_some_and(|task| !task.status.has_ended()));
        for child in &open {
            self.change(*child, now, |_| {});
            if let Some(record) = self.records.get_mut(child) {
                record.awaited = true;
            }
        }
        self.rows.set_waits(id, &asked, &open).await?;
        let mut met = HashSet::new();
        asked.retain(|child| met.insert(*child));
        for child in asked {
            self.say(id, child, |waiting, child| Some(AgentMessage::ask(waiting, child, now)));
            self.say(id, child, |waiting, child| AgentMessage::answer(waiting, child, now));
        }
        self.change(id, now, |task| task.waiting_for = u32::try_from(open.len()).unwrap_or(u32::MAX));
        self.requeue(id, now, None);
        Ok(())
    }

    /// What these tasks asked for last, in order: pairs of a task and its child, the children loaded.
    pub(crate) async fn children(&mut self, parents: &[TaskId]) -> Outcome<Vec<(TaskId, TaskId)>> {
        let pairs = self.rows.waits(parents).await?;
        self.load(pairs.iter().map(|(_, child)| *child)).await?;
        Ok(pairs)
    }

    /// Those who wait for a task wait for one less; the last one makes them due.
    async fn count_off(&mut self, child: TaskId, now: DateTime<Utc>) -> Outcome<()> {
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

    /// The children of its own that a loaded task waited for last and that have not ended, loaded; one that it asked for
    /// twice is one.
    async fn open_children(&mut self, id: TaskId) -> Outcome<Vec<TaskId>> {
        if self.task(id).is_none_or(|task| task.state.is_none()) {
            return Ok(Vec::new());
        }
        let mut children: Vec<TaskId> =
            self.children(&[id]).await?.into_iter().map(|(_, child)| child).collect();
        let mut met = HashSet::new();
        children.retain(|child| {
            met.insert(*child)
                && self.task(*child).is_some_and(|task| task.parent == Some(id) && !task.status.has_ended())
        });
        Ok(children)
    }

    /// Notes a message about two loaded tasks.
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

    /// Lets the subscribers know of a task, even without an event.
    fn tell(&mut self, id: TaskId) {
        self.told.push(id);
    }

    /// The earlier task of this owner with this idempotency key.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> Outcome<Option<TaskId>> {
        if let Some(id) = self.keys.get(&(owner, key.to_owned())) {
            return Ok(Some(*id));
        }
        self.rows.with_key(owner, key).await
    }

    /// The task with this key that is pending or processing, loaded.
    async fn standing(&mut self, key: &UniqueKey) -> Outcome<Option<TaskId>> {
        let known = match self.unique.get(key) {
            Some(id) => Some(*id),
            None => self.rows.standing(key).await?,
        };
        let Some(id) = known else { return Ok(None) };
        self.load([id]).await?;
        // It may have ended since: before it was loaded, or in this transaction.
        Ok(self.task(id).filter(|task| !task.status.has_ended()).map(|task| task.id))
    }

    /// Writes everything and leaves the wake-ups for after the commit.
    pub(crate) async fn flush(self) -> Outcome<()> {
        let Self { rows, records, changed, added, events, messages, told, queue, .. } = self;
        let of = |ids: &[TaskId]| ids.iter().filter_map(|id| records.get(id)).collect::<Vec<_>>();
        rows.write(Flush { added: of(&added), changed: of(&changed), events: &events, messages: &messages })
            .await?;
        let mut heard = HashSet::new();
        let news = events.iter().map(|(_, event)| event.task_id).chain(told).filter(|id| heard.insert(*id));
        let entered = events.iter().filter_map(|(_, event)| match event.kind {
            EventKind::Status { status, .. } => {
                Some((records.get(&event.task_id)?.task.agent.clone(), status))
            }
            _ => None,
        });
        let woken = queue.then_some(WakeUp::Queue).into_iter().chain(news.map(WakeUp::Task));
        rows.tell(woken.collect(), entered.collect());
        Ok(())
    }
}

/// The error of a claim that does not hold its task any more.
pub(crate) fn spent(claim: &ClaimKey) -> Error {
    Error::conflict(format!(
        "attempt {} of task {} is not held by this worker any more",
        claim.attempt, claim.task
    ))
}
