//! The tasks that one write changes, and the rules of changing them.
//!
//! A write loads what it needs, changes it here by the rules of the port, and flushes it in a few statements
//! over many rows. There is one writer, so what was loaded is still true when it is written.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::Row;
use sutazai_core::Error;
use sutazai_core::domain::{ClaimKey, EventKind, Task, TaskError, TaskEvent, TaskId, TaskStatus};
use sutazai_core::ports::WakeUp;
use uuid::Uuid;

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
    seen: HashSet<TaskId>,
    events: Vec<TaskEvent>,
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
            seen: HashSet::new(),
            events: Vec::new(),
            queue: false,
        }
    }

    /// The transaction below.
    pub(super) fn transaction(&mut self) -> &mut Transaction {
        self.transaction
    }

    /// Loads these, as far as they exist and are not loaded yet.
    pub(super) async fn load(&mut self, ids: impl IntoIterator<Item = TaskId>) -> Outcome<()> {
        let known = &self.records;
        let missing: Vec<TaskId> = ids.into_iter().filter(|id| !known.contains_key(id)).collect();
        const BY_KEY: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE id IN (VALUES");
        let found = bulk(&mut self.transaction.connection, (BY_KEY, 1, ")"), &missing, |id, to| {
            Ok(sqlx::Arguments::add(to, id.0)?)
        })
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
        Err(Error::conflict(format!("attempt {} of task {} is not held by this worker any more", claim.attempt, claim.task)))
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
            self.events.push(TaskEvent { task_id: id, sequence: record.last_sequence, at, kind });
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

    /// Adds a task with its first event.
    pub(super) fn add(&mut self, task: Task, child_index: u32) {
        let (id, at) = (task.id, task.created_at);
        self.queue |= task.waiting_for == 0;
        self.seen.insert(id);
        self.added.push(id);
        self.records.insert(id, Record { child_index, ..Record::new(task) });
        self.status_event(id, at, None);
    }

    /// Makes a loaded task pending from `run_at` on, held by nobody.
    pub(super) fn requeue(&mut self, id: TaskId, now: DateTime<Utc>, run_at: DateTime<Utc>, error: Option<TaskError>) {
        self.change(id, now, |task| {
            task.status = TaskStatus::Pending;
            task.run_at = run_at;
            task.worker = None;
            task.lease_until = None;
            task.cancel_requested = false;
            if error.is_some() {
                task.error = error.clone();
            }
        });
        self.status_event(id, now, error);
        self.queue = true;
    }

    /// Ends a loaded task for good: cancels what it still waits for, and counts it off at its parent.
    pub(super) async fn end(
        &mut self,
        id: TaskId,
        now: DateTime<Utc>,
        status: TaskStatus,
        result: Option<Value>,
        error: Option<TaskError>,
    ) -> Outcome<()> {
        let mut ending = vec![(id, status, result, error)];
        while let Some((id, status, result, error)) = ending.pop() {
            let Some(task) = self.task(id) else { continue };
            let (parent, has_children) = (task.parent, task.state.is_some());
            self.change(id, now, |task| {
                task.status = status;
                task.result = result;
                task.error = error.clone().or(task.error.take().filter(|_| status != TaskStatus::Completed));
                task.waiting_for = 0;
                task.worker = None;
                task.lease_until = None;
                task.finished_at = Some(now);
            });
            self.status_event(id, now, error);
            if let Some(parent) = parent {
                self.count_off(parent, now).await?;
            }
            if has_children {
                for child in self.children_not_ended(id).await? {
                    if self.task(child).is_some_and(|task| task.status == TaskStatus::Processing) {
                        self.change(child, now, |task| task.cancel_requested = true);
                    } else {
                        ending.push((child, TaskStatus::Cancelled, None, None));
                    }
                }
            }
        }
        Ok(())
    }

    /// One child less to wait for; the last one makes the parent due.
    async fn count_off(&mut self, parent: TaskId, now: DateTime<Utc>) -> Outcome<()> {
        self.load([parent]).await?;
        let Some(waiting_for) = self.task(parent).map(|task| task.waiting_for).filter(|n| *n > 0) else {
            return Ok(());
        };
        self.change(parent, now, |task| {
            task.waiting_for = waiting_for - 1;
            if task.waiting_for == 0 {
                task.run_at = now;
            }
        });
        self.queue |= waiting_for == 1;
        Ok(())
    }

    /// The children of a task that have not ended, loaded.
    async fn children_not_ended(&mut self, parent: TaskId) -> Outcome<Vec<TaskId>> {
        const CHILDREN: &str = concat!("SELECT ", columns!(), " FROM tasks WHERE parent_id = ? ORDER BY child_index");
        let rows = sqlx::query(CHILDREN).bind(parent.0).fetch_all(&mut self.transaction.connection).await?;
        let mut ids = Vec::with_capacity(rows.len());
        for row in &rows {
            let record = Record::decode(row)?;
            ids.push(record.task.id);
            self.keep(record);
        }
        ids.retain(|id| self.task(*id).is_some_and(|task| !task.status.has_ended()));
        Ok(ids)
    }

    /// The first free place among the children of a task.
    pub(super) async fn next_child_index(&mut self, parent: TaskId) -> Outcome<u32> {
        const NEXT: &str = "SELECT ifnull(max(child_index) + 1, 0) FROM tasks WHERE parent_id = ?";
        let row = sqlx::query(NEXT).bind(parent.0).fetch_one(&mut self.transaction.connection).await?;
        Ok(row.try_get(0)?)
    }

    /// The earlier task of this owner with this idempotency key.
    pub(super) async fn with_key(&mut self, owner: Option<Uuid>, key: &str) -> Outcome<Option<TaskId>> {
        const BY_KEY: &str = "SELECT id FROM tasks WHERE ifnull(owner, x'') = ifnull(?, x'') AND idempotency_key = ?";
        let row = sqlx::query(BY_KEY).bind(owner).bind(key).fetch_optional(&mut self.transaction.connection).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(TaskId))
    }

    /// Writes everything and leaves the wake-ups for after the commit.
    pub(super) async fn flush(self) -> Outcome<()> {
        let Self { transaction, records, changed, added, events, queue, .. } = self;
        let connection = &mut transaction.connection;
        let rows = |ids: &[TaskId]| ids.iter().filter_map(|id| records.get(id)).collect::<Vec<_>>();
        bulk(connection, INSERT, &rows(&added), |record, to| record.bind(to)).await?;
        bulk(connection, UPDATE, &rows(&changed), |record, to| record.bind_changes(to)).await?;
        bulk(connection, INSERT_EVENTS, &events, bind_event).await?;
        if queue {
            transaction.wake_ups.push(WakeUp::Queue);
        }
        let mut told = HashSet::new();
        let news = events.iter().map(|event| event.task_id).filter(|id| told.insert(*id));
        transaction.wake_ups.extend(news.map(WakeUp::Task));
        Ok(())
    }
}
