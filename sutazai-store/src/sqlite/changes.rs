//! The tasks that one write changes, and the rules of changing them.
//!
//! A write loads what it needs, changes it here by the rules of the port, and flushes it in a few statements
//! over many rows. There is one writer, so what was loaded is still true when it is written.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Arguments, Row};
use sutazai_core::Error;
use sutazai_core::domain::{ClaimKey, EventKind, Task, TaskError, TaskEvent, TaskId, TaskStatus, UserId};
use sutazai_core::ports::WakeUp;

use super::fault::Outcome;
use super::record::{INSERT, INSERT_EVENTS, Record, UPDATE, bind_event, columns};
use super::statement::bulk;
use super::writer::Transaction;

/// Tasks under change.
pub(super) struct Changes<'t> {
    transaction: &'t mut Transaction,
    records: HashMap<TaskId, Record>,
    /// Changed ones, in the order of their first change.
    changed: Vec<TaskId>,
    added: Vec<TaskId>,
    /// Idempotency keys of the added ones.
    keys: HashMap<(Option<UserId>, String), TaskId>,
    seen: HashSet<TaskId>,
    events: Vec<(Option<UserId>, TaskEvent)>,
    /// Tasks of which there is news without an event.
    told: Vec<TaskId>,
    queue: bool,
}

impl<'t> Changes<'t> {
    /// Nothing loaded yet.
    pub(super) fn new(transaction: &'t mut Transaction) -> Self {
        Self {
            transaction,
            records: HashMap::new(),
            changed: Vec::new(),
            added: Vec::new(),
            keys: HashMap::new(),
            seen: HashSet::new(),
            events: Vec::new(),
            told: Vec::new(),
            queue: false,
        }
    }

    /// Loads these, as far as they exist and are not loaded yet.
    pub(super) async fn load(&mut self, ids: impl IntoIterator<Item = TaskId>) -> Outcome<()> {
        let known = &self.records;
        let missing: Vec<TaskId> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        const BY_KEY: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE id IN (VALUES");
        let found =
            bulk(&mut self.transaction.connection, (BY_KEY, 1, ")"), &missing, |id, to| Ok(to.add(id.0)?))
                .await?;
        for row in &found {
            self.keep(Record::decode(row)?);
        }
        Ok(())
    }

    /// Keeps a record that was read from its row.
    pub(super) fn keep(&mut self, record: Record) {
        self.records.entry(record.task.id).or_insert(record);
    }

    /// The task, if it was loaded and exists.
    pub(super) fn task(&self, id: TaskId) -> Option<&Task> {
        self.records.get(&id).map(|record| &record.task)
    }

    /// The task with its latest event's sequence, as it stands now.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) async fn existing(&mut self, id: TaskId) -> Outcome<Task> {
        self.load([id]).await?;
        Ok(self.task(id).cloned().ok_or_else(|| Error::not_found(format!("task {id}")))?)
    }

    /// Whether this claim still holds its task.
    pub(super) fn holds(&self, claim: &ClaimKey) -> bool {
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
    pub(super) fn fence(&self, claim: &ClaimKey) -> Result<(), Error> {
        if self.holds(claim) {
            return Ok(());
        }
        Err(Error::conflict(format!(
            "attempt {} of task {} is not held by this worker any more",
            claim.attempt, claim.task
        )))
    }

    /// Changes a loaded task and notes when.
    pub(super) fn change(&mut self, id: TaskId, now: DateTime<Utc>, how: impl FnOnce(&mut Task)) {
        if let Some(record) = self.records.get_mut(&id) {
            how(&mut record.task);
            record.task.updated_at = now;
            if self.seen.insert(id) {
                self.changed.push(id);
            }
        }
    }

    /// Numbers an event of a loaded task.
    pub(super) fn event(&mut self, id: TaskId, at: DateTime<Utc>, kind: EventKind) {
        if let Some(record) = self.records.get_mut(&id) {
            record.last_sequence += 1;
            let event = TaskEvent { task_id: id, sequence: record.last_sequence, at, kind };
            self.events.push((record.task.owner, event));
            if self.seen.insert(id) {
                self.changed.push(id);
            }
        }
    }

    /// The event that a loaded task has entered its status.
    pub(super) fn status_event(&mut self, id: TaskId, at: DateTime<Utc>, error: Option<TaskError>) {
        if let Some(task) = self.task(id) {
            let kind = EventKind::Status { status: task.status, attempt: task.attempt, error };
            self.event(id, at, kind);
        }
    }

    /// Adds a task with its first event, or gives the earlier one that its idempotency key names.
    pub(super) async fn add(&mut self, task: Task) -> Outcome<TaskId> {
        let (id, at) = (task.id, task.created_at);
        if let Some(key) = &task.idempotency_key {
            if let Some(known) = self.with_key(task.owner, key).await? {
                self.load([known]).await?;
                return Ok(known);
            }
            self.keys.insert((task.owner, key.clone()), id);
        }
        self.seen.insert(id);
        self.added.push(id);
        self.records.insert(id, Record::new(task));
        self.queue = true;
        self.status_event(id, at, None);
        Ok(id)
    }

    /// Makes a loaded task pending, held by nobody; due at its `run_at`, unless it waits for children.
    pub(super) fn requeue(&mut self, id: TaskId, now: DateTime<Utc>, error: Option<TaskError>) {
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
    pub(super) async fn end(
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

    /// Makes a loaded task wait for `children`, new ones or known ones, and pending.
    pub(super) async fn wait(&mut self, id: TaskId, children: Vec<Task>, now: DateTime<Utc>) -> Outcome<()> {
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
        let connection = &mut self.transaction.connection;
        sqlx::query("DELETE FROM task_waits WHERE parent_id = ?")
            .bind(id.0)
            .execute(&mut *connection)
            .await?;
        let rows: Vec<(u32, TaskId)> = (0..).zip(asked).collect();
        let insert = ("INSERT INTO task_waits (parent_id, position, child_id, open) VALUES", 4, "");
        bulk(connection, insert, &rows, |(position, child), to| {
            to.add(id.0)?;
            to.add(*position)?;
            to.add(child.0)?;
            to.add(open.contains(child))?;
            Ok(())
        })
        .await?;
        self.change(id, now, |task| task.waiting_for = u32::try_from(open.len()).unwrap_or(u32::MAX));
        self.requeue(id, now, None);
        Ok(())
    }

    /// What these tasks asked for last, in order: pairs of a task and its child, the children loaded.
    pub(super) async fn children(&mut self, parents: &[TaskId]) -> Outcome<Vec<(TaskId, TaskId)>> {
        const WAITS: &str = "SELECT parent_id, child_id FROM task_waits WHERE parent_id IN (VALUES";
        let sql = (WAITS, 1, ") ORDER BY parent_id, position");
        let rows = bulk(&mut self.transaction.connection, sql, parents, |id, to| Ok(to.add(id.0)?)).await?;
        let pairs = rows
            .iter()
            .map(|row| Ok((TaskId(row.try_get(0)?), TaskId(row.try_get(1)?))))
            .collect::<Outcome<Vec<_>>>()?;
        self.load(pairs.iter().map(|(_, child)| *child)).await?;
        Ok(pairs)
    }

    /// Those who wait for a task wait for one less; the last one makes them due.
    async fn count_off(&mut self, child: TaskId, now: DateTime<Utc>) -> Outcome<()> {
        let Some(record) = self.records.get_mut(&child).filter(|record| record.awaited) else {
            return Ok(());
        };
        record.awaited = false;
        const COUNT_OFF: &str =
            "UPDATE task_waits SET open = 0 WHERE child_id = ? AND open = 1 RETURNING parent_id";
        let rows = sqlx::query(COUNT_OFF).bind(child.0).fetch_all(&mut self.transaction.connection).await?;
        let parents = rows.iter().map(|row| Ok(TaskId(row.try_get(0)?))).collect::<Outcome<HashSet<_>>>()?;
        self.load(parents.iter().copied()).await?;
        for parent in parents {
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

    /// The children of its own that a loaded task waited for last and that have not ended, loaded.
    async fn open_children(&mut self, id: TaskId) -> Outcome<Vec<TaskId>> {
        if self.task(id).is_none_or(|task| task.state.is_none()) {
            return Ok(Vec::new());
        }
        let mut children: Vec<TaskId> =
            self.children(&[id]).await?.into_iter().map(|(_, child)| child).collect();
        children.retain(|child| {
            self.task(*child).is_some_and(|task| task.parent == Some(id) && !task.status.has_ended())
        });
        Ok(children)
    }

    /// Lets the subscribers know of a task, even without an event.
    pub(super) fn tell(&mut self, id: TaskId) {
        self.told.push(id);
    }

    /// The earlier task of this owner with this idempotency key.
    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> Outcome<Option<TaskId>> {
        if let Some(id) = self.keys.get(&(owner, key.to_owned())) {
            return Ok(Some(*id));
        }
        const BY_KEY: &str =
            "SELECT id FROM tasks WHERE ifnull(owner, x'') = ifnull(?, x'') AND idempotency_key = ?";
        let query = sqlx::query(BY_KEY).bind(owner.map(|owner| owner.0)).bind(key);
        let row = query.fetch_optional(&mut self.transaction.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    /// Writes everything and leaves the wake-ups for after the commit.
    pub(super) async fn flush(self) -> Outcome<()> {
        let Self { transaction, records, changed, added, events, told, queue, .. } = self;
        let connection = &mut transaction.connection;
        let rows = |ids: &[TaskId]| ids.iter().filter_map(|id| records.get(id)).collect::<Vec<_>>();
        bulk(connection, INSERT, &rows(&added), |record, to| record.bind(to)).await?;
        bulk(connection, UPDATE, &rows(&changed), |record, to| record.bind_changes(to)).await?;
        bulk(connection, INSERT_EVENTS, &events, bind_event).await?;
        if queue {
            transaction.wake_ups.push(WakeUp::Queue);
        }
        let mut heard = HashSet::new();
        let news = events.iter().map(|(_, event)| event.task_id).chain(told).filter(|id| heard.insert(*id));
        transaction.wake_ups.extend(news.map(WakeUp::Task));
        Ok(())
    }
}
