//! Repository of the unit of work over the open transaction of a storage.

use std::collections::HashSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;

use super::repository::{DeduplicationKey, Record, TaskRepository, WriteSet};
use super::storage::{ScanOrder, TaskFilter, TaskTransaction, TaskWait};
use crate::domain::{AgentMessage, TaskId, UserId};
use crate::error::{Error, Result};
use crate::ports::{Announcer, CommitEffects};

/// An open transaction with the effects that are announced after its commit.
///
/// Dropping it rolls the transaction back.
pub(super) struct Session<T> {
    transaction: T,
    is_changed: bool,
    effects: CommitEffects,
    announcer: Announcer,
}

impl<T: TaskTransaction> Session<T> {
    /// Creates a session that has changed nothing yet.
    pub(super) fn new(transaction: T, announcer: Announcer) -> Self {
        Self { transaction, is_changed: false, effects: CommitEffects::default(), announcer }
    }

    /// Returns the transaction for reading.
    pub(super) fn read(&mut self) -> &mut T {
        &mut self.transaction
    }

    /// Returns the transaction for changing it.
    pub(super) fn change(&mut self) -> &mut T {
        self.is_changed = true;
        &mut self.transaction
    }

    /// Commits the transaction, announces its effects, and returns `value`. A transaction that has changed nothing, such
    /// as a claim while nothing is due, is not committed.
    pub(super) async fn commit<V>(self, value: V) -> Result<V> {
        if self.is_changed {
            self.transaction.commit().await?;
            self.announcer.announce(self.effects);
        }
        Ok(value)
    }

    /// Writes a heartbeat from each of these running tasks to the tasks that wait for it.
    pub(super) async fn write_heartbeats(&mut self, running: &[TaskId], now: DateTime<Utc>) -> Result<()> {
        if running.is_empty() {
            return Ok(());
        }
        let mut waits = self.read().waits(running).await?;
        waits.retain(|wait| wait.open && running.contains(&wait.child));
        let ids: HashSet<TaskId> = waits.iter().flat_map(|wait| [wait.parent, wait.child]).collect();
        let records = self.read().load(&ids.into_iter().collect::<Vec<_>>()).await?;
        let task = |id| records.iter().map(|record| &record.task).find(|task| task.id == id);
        let mut told = HashSet::new();
        let messages: Vec<AgentMessage> = waits
            .iter()
            .filter(|wait| told.insert((wait.parent, wait.child)))
            .filter_map(|wait| AgentMessage::heartbeat(task(wait.parent)?, task(wait.child)?, now))
            .collect();
        let (added, changed) = (Vec::new(), Vec::new());
        TaskRepository::write(self, WriteSet { added, changed, events: &[], messages: &messages }).await
    }

    /// Returns the first task that matches the filter.
    async fn first(&mut self, filter: TaskFilter) -> Result<Option<TaskId>> {
        let found = self.read().scan(filter, ScanOrder::OldestFirst).try_next().await?;
        Ok(found.map(|record| record.task.id))
    }
}

#[async_trait]
impl<T: TaskTransaction> TaskRepository for Session<T> {
    type Error = Error;

    async fn load(&mut self, ids: &[TaskId]) -> Result<Vec<Record>> {
        self.read().load(ids).await
    }

    async fn with_key(&mut self, owner: Option<UserId>, key: &str) -> Result<Option<TaskId>> {
        self.first(TaskFilter::IdempotencyKey(owner, key.to_owned())).await
    }

    async fn active_with_key(&mut self, key: &DeduplicationKey) -> Result<Option<TaskId>> {
        self.first(TaskFilter::DeduplicationKey(key.clone())).await
    }

    async fn set_waits(&mut self, parent: TaskId, children: &[TaskId], open: &HashSet<TaskId>) -> Result<()> {
        let wait = |child: &TaskId| TaskWait { parent, child: *child, open: open.contains(child) };
        self.change().replace_waits(parent, children.iter().map(wait).collect()).await
    }

    async fn waits(&mut self, parents: &[TaskId]) -> Result<Vec<(TaskId, TaskId)>> {
        if parents.is_empty() {
            return Ok(Vec::new());
        }
        let waits = self.read().waits(parents).await?;
        let own = waits.into_iter().filter(|wait| parents.contains(&wait.parent));
        Ok(own.map(|wait| (wait.parent, wait.child)).collect())
    }

    async fn close_waits(&mut self, child: TaskId) -> Result<HashSet<TaskId>> {
        let mut waits = self.read().waits(&[child]).await?;
        waits.retain(|wait| wait.child == child && wait.open);
        let parents: HashSet<TaskId> = waits.into_iter().map(|wait| wait.parent).collect();
        for parent in &parents {
            let mut waits = self.read().waits(&[*parent]).await?;
            waits.retain(|wait| wait.parent == *parent);
            waits.iter_mut().filter(|wait| wait.child == child).for_each(|wait| wait.open = false);
            self.change().replace_waits(*parent, waits).await?;
        }
        Ok(parents)
    }

    async fn write(&mut self, changes: WriteSet<'_>) -> Result<()> {
        let added: Vec<TaskId> = changes.added.iter().map(|record| record.task.id).collect();
        if !added.is_empty() {
            let mut ids = HashSet::new();
            let twice = added.iter().copied().find(|id| !ids.insert(*id));
            let known = self.read().load(&added).await?.first().map(|record| record.task.id);
            if let Some(id) = twice.or(known) {
                return Err(Error::conflict(format!("task {id} already exists")));
            }
        }
        let is_empty = changes.added.is_empty()
            && changes.changed.is_empty()
            && changes.events.is_empty()
            && changes.messages.is_empty();
        if is_empty { Ok(()) } else { self.change().write(changes).await }
    }

    fn after_commit(&mut self, effects: CommitEffects) {
        self.effects.append(effects);
    }
}
