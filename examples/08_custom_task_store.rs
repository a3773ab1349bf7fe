//! A task store of your own: all tasks in one JSON file. `TransactionalTaskStore` implements the ports; you write the
//! transactions of its storage, which read and write plain rows. Here one transaction runs at a time: it holds the lock and
//! changes a copy of the tables. The commit writes the copy to the file; a transaction that is dropped changes nothing.
//!
//! Run it: `cargo run --example 08_custom_task_store`; test it: `cargo test --features test-util --example 08_custom_task_store`

#![allow(clippy::print_stdout)] // an example prints what it does

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use serde::{Deserialize, Serialize};
use sutazai::domain::{AgentMessage, EventLogEntry, EventOffset, NewTask, Task, TaskId};
use sutazai::ports::{Clock, EventLog, SystemClock, TaskQueue};
use sutazai::task_store::*;
use sutazai::{Error, Result};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Content of the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Tables {
    tasks: BTreeMap<TaskId, Record>,
    waits: Vec<TaskWait>,
    events: Vec<EventLogEntry>,
    event_log: EventLogBounds,
    messages: Vec<(u64, AgentMessage)>,
    last_message: u64,
}

/// Tasks in a JSON file.
#[derive(Debug)]
struct JsonFile {
    path: PathBuf,
    committed: Arc<Mutex<Arc<Tables>>>,
}

impl JsonFile {
    fn open(path: PathBuf) -> Result<Self> {
        let json = if path.exists() { std::fs::read(&path)? } else { b"{}".to_vec() };
        let tables: Tables = serde_json::from_slice(&json).map_err(Error::json)?;
        Ok(Self { path, committed: Arc::new(Mutex::new(Arc::new(tables))) })
    }
}

#[async_trait]
impl TaskStorage for JsonFile {
    type Transaction = Transaction;

    async fn begin(&self) -> Result<Transaction> {
        let committed = self.committed.clone().lock_owned().await;
        Ok(Transaction { path: self.path.clone(), tables: Arc::clone(&committed), committed })
    }
}

/// An open transaction: no other one begins before it is committed or dropped.
struct Transaction {
    path: PathBuf,
    committed: OwnedMutexGuard<Arc<Tables>>,
    /// Tables as this transaction sees them: the committed ones until its first change copies them.
    tables: Arc<Tables>,
}

#[async_trait]
impl TaskTransaction for Transaction {
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
        let tables = Arc::make_mut(&mut self.tables);
        for record in changes.changed.into_iter().chain(changes.added) {
            tables.tasks.insert(record.task.id, record.clone());
        }
        for (owner, event) in changes.events {
            tables.event_log.end.0 += 1;
            let (position, owner, event) = (tables.event_log.end, *owner, event.clone());
            tables.events.push(EventLogEntry { position, owner, event });
        }
        for message in changes.messages {
            tables.last_message += 1;
            tables.messages.retain(|(_, earlier)| !message.replaces(earlier));
            tables.messages.push((tables.last_message, message.clone()));
        }
        Ok(())
    }

    async fn remove(&mut self, ids: &[TaskId]) -> Result<()> {
        let tables = Arc::make_mut(&mut self.tables);
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
        let tables = Arc::make_mut(&mut self.tables);
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
        Ok(self.tables.event_log)
    }

    async fn set_event_log_begin(&mut self, begin: EventOffset) -> Result<()> {
        Arc::make_mut(&mut self.tables).event_log.begin = begin;
        Ok(())
    }

    async fn commit(mut self) -> Result<()> {
        // The new file takes the place of the old one in one step, so a crash leaves one of them whole.
        let next = self.path.with_extension("next");
        let mut file = tokio::fs::File::create(&next).await?;
        file.write_all(&serde_json::to_vec(&*self.tables).map_err(Error::json)?).await?;
        file.sync_all().await?;
        tokio::fs::rename(next, &self.path).await?;
        *self.committed = self.tables;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("tasks.json");
    let store = TransactionalTaskStore::new(JsonFile::open(path.clone())?);
    let new = NewTask::new("hardware-optimizer", serde_json::json!({}));
    let stored = store.enqueue(vec![Task::pending(new, None, None, SystemClock.now())]).await?;
    let reopened = TransactionalTaskStore::new(JsonFile::open(path)?);
    for event in reopened.events_after(stored[0].id, 0, 10).await? {
        println!("{}: {:?}", event.sequence, event.kind);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sutazai::ports::{TaskRecords, TaskStore};
    use sutazai::testing::{event_log, schedules, task_queue, task_records};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn conforms_and_passes_random_schedules() {
        let folder = tempfile::tempdir().unwrap();
        let file = || JsonFile::open(folder.path().join(TaskId::new().to_string())).unwrap();
        let store = || async { Arc::new(TransactionalTaskStore::new(file())) as Arc<dyn TaskStore> };
        task_queue::run_all(store).await;
        task_records::run_all(store).await;
        event_log::run_all(store).await;
        for seed in 0..100 {
            schedules::run(store, seed).await.unwrap();
        }
    }

    #[tokio::test]
    async fn failed_commit_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = TransactionalTaskStore::new(JsonFile::open(folder.path().join("tasks.json")).unwrap());
        folder.close().unwrap();
        let task = Task::pending(NewTask::new("echo", serde_json::json!({})), None, None, SystemClock.now());
        store.enqueue(vec![task.clone()]).await.unwrap_err();
        assert_eq!(store.get(task.id).await.unwrap(), None);
    }
}
