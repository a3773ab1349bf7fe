use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use sutazai_core::Result;
use sutazai_core::domain::{AgentMessage, EventLogEntry, EventOffset, TaskId};
use sutazai_core::task_store::{
    EventFilter, EventLogBounds, Record, ScanOrder, TaskFilter, TaskStorage, TaskTransaction, TaskWait,
    WriteSet,
};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Tables of a storage in memory.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub tasks: BTreeMap<TaskId, Record>,
    waits: Vec<TaskWait>,
    events: Vec<EventLogEntry>,
    log: EventLogBounds,
    messages: Vec<(u64, AgentMessage)>,
    last_message: u64,
}

#[derive(Debug, Clone, Default)]
pub struct MapStorage(pub Arc<Mutex<Arc<Tables>>>);

#[async_trait]
impl TaskStorage for MapStorage {
    type Transaction = MapTransaction;

    async fn begin(&self) -> Result<MapTransaction> {
        let committed = self.0.clone().lock_owned().await;
        Ok(MapTransaction { tables: Arc::clone(&committed), committed })
    }
}

pub struct MapTransaction {
    committed: OwnedMutexGuard<Arc<Tables>>,
    tables: Arc<Tables>,
}

impl MapTransaction {
    /// Returns the tables to change: a copy of the committed ones, made by the first change.
    fn change(&mut self) -> &mut Tables {
        Arc::make_mut(&mut self.tables)
    }
}

#[async_trait]
impl TaskTransaction for MapTransaction {
    async fn load(&mut self, ids: &[TaskId]) -> Result<Vec<Record>> {
        Ok(ids.iter().filter_map(|id| self.tables.tasks.get(id).cloned()).collect())
    }

    fn scan(&mut self, filter: TaskFilter, order: ScanOrder) -> BoxStream<'_, Result<Record>> {
        let found = self.tables.tasks.values().filter(move |record| filter.matches(&record.task));
        match order {
            ScanOrder::OldestFirst => stream::iter(found.cloned().map(Ok)).boxed(),
            ScanOrder::NewestFirst => stream::iter(found.rev().cloned().map(Ok)).boxed(),
        }
    }

    async fn write(&mut self, changes: WriteSet<'_>) -> Result<()> {
        let tables = self.change();
        for record in changes.added.into_iter().chain(changes.changed) {
            tables.tasks.insert(record.task.id, record.clone());
        }
        for (owner, event) in changes.events {
            tables.log.end.0 += 1;
            let (owner, event) = (*owner, event.clone());
            tables.events.push(EventLogEntry { position: tables.log.end, owner, event });
        }
        for message in changes.messages {
            tables.last_message += 1;
            tables.messages.retain(|(_, earlier)| !message.replaces(earlier));
            tables.messages.push((tables.last_message, message.clone()));
        }
        Ok(())
    }

    async fn remove(&mut self, ids: &[TaskId]) -> Result<()> {
        let tables = self.change();
        tables.tasks.retain(|id, _| !ids.contains(id));
        for Record { task, .. } in tables.tasks.values_mut() {
            task.parent = task.parent.filter(|parent| !ids.contains(parent));
        }
        tables.waits.retain(|wait| !ids.iter().any(|id| wait.is_about(*id)));
        tables.events.retain(|entry| !ids.contains(&entry.event.task_id));
        tables.messages.retain(|(_, message)| !ids.iter().any(|id| message.is_about(*id)));
        Ok(())
    }

    async fn waits(&mut self, tasks: &[TaskId]) -> Result<Vec<TaskWait>> {
        let is_wanted = |wait: &&TaskWait| tasks.iter().any(|task| wait.is_about(*task));
        Ok(self.tables.waits.iter().filter(is_wanted).copied().collect())
    }

    async fn replace_waits(&mut self, parent: TaskId, waits: Vec<TaskWait>) -> Result<()> {
        let tables = self.change();
        tables.waits.retain(|wait| wait.parent != parent);
        tables.waits.extend(waits);
        Ok(())
    }

    fn events(&mut self, filter: EventFilter) -> BoxStream<'_, Result<EventLogEntry>> {
        let found = self.tables.events.iter().filter(move |entry| filter.matches(entry));
        stream::iter(found.cloned().map(Ok)).boxed()
    }

    fn messages(&mut self, task: TaskId, after: u64) -> BoxStream<'_, Result<(u64, AgentMessage)>> {
        let later = self.tables.messages.iter().filter(move |(number, _)| *number > after);
        let found = later.filter(move |(_, message)| message.is_about(task));
        stream::iter(found.cloned().map(Ok)).boxed()
    }

    async fn event_log_bounds(&mut self) -> Result<EventLogBounds> {
        Ok(self.tables.log)
    }

    async fn set_event_log_begin(&mut self, begin: EventOffset) -> Result<()> {
        self.change().log.begin = begin;
        Ok(())
    }

    async fn commit(mut self) -> Result<()> {
        *self.committed = self.tables;
        Ok(())
    }
}
