//! Port [`TaskRecords`] over the transactions of a storage.

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt};

use super::pages::page;
use super::repository::Record;
use super::session::Session;
use super::storage::{EventFilter, ScanOrder, TaskFilter, TaskStorage, TaskTransaction};
use super::transactional::TransactionalTaskStore;
use super::unit_of_work::UnitOfWork;
use crate::domain::{
    Page, Pruned, RetentionBatch, Task, TaskCount, TaskId, TaskQuery, TaskStatistics, TaskSummary, UserId,
};
use crate::error::Result;
use crate::ports::TaskRecords;

#[async_trait]
impl<S: TaskStorage> TaskRecords for TransactionalTaskStore<S> {
    async fn get(&self, id: TaskId) -> Result<Option<Task>> {
        self.run(move |mut session| async move {
            Ok(session.read().load(&[id]).await?.pop().map(|record| record.task))
        })
        .await
    }

    async fn list(&self, query: &TaskQuery) -> Result<Page<Task, TaskId>> {
        let query = query.clone();
        self.run(move |mut session| async move {
            let limit = query.page.limit.get();
            let newest = session.read().scan(TaskFilter::Query(query), ScanOrder::NewestFirst);
            page(newest.map_ok(|record| record.task), limit, Task::content_bytes, |task| task.id).await
        })
        .await
    }

    async fn summaries(&self, query: &TaskQuery) -> Result<Page<TaskSummary, TaskId>> {
        let query = query.clone();
        self.run(move |mut session| async move {
            let limit = query.page.limit.get();
            let newest = session.read().scan(TaskFilter::Query(query), ScanOrder::NewestFirst);
            let bytes = |summary: &TaskSummary| summary.task.title.len() + summary.task.description.len();
            page(newest.map_ok(|record| TaskSummary::from(record.task)), limit, bytes, |summary| {
                summary.task.id
            })
            .await
        })
        .await
    }

    async fn statistics(&self, owner: Option<UserId>) -> Result<TaskStatistics> {
        self.run(move |mut session| async move {
            let counted = TaskFilter::Query(TaskQuery { owner, ..TaskQuery::default() });
            let mut tasks = session.read().scan(counted, ScanOrder::OldestFirst);
            let mut counts = BTreeMap::new();
            while let Some(Record { task, .. }) = tasks.try_next().await? {
                *counts.entry((task.agent, task.status)).or_default() += 1;
            }
            let count = |((agent, status), count)| TaskCount { agent, status, count };
            Ok(TaskStatistics { counts: counts.into_iter().map(count).collect() })
        })
        .await
    }

    async fn cancel(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.run(move |mut session| async move {
            let mut changes = UnitOfWork::new(&mut session);
            let task = changes.cancel(id, now).await?;
            changes.flush().await?;
            session.commit(task).await
        })
        .await
    }

    async fn retry(&self, id: TaskId, now: DateTime<Utc>) -> Result<Task> {
        self.run(move |mut session| async move {
            let mut changes = UnitOfWork::new(&mut session);
            let task = changes.retry(id, now).await?;
            changes.flush().await?;
            session.commit(task).await
        })
        .await
    }

    async fn delete(&self, id: TaskId) -> Result<()> {
        self.run(move |mut session| async move {
            UnitOfWork::new(&mut session).check_deletion(id).await?;
            session.change().remove(&[id]).await?;
            session.commit(()).await
        })
        .await
    }

    async fn delete_all(&self, owner: UserId) -> Result<u64> {
        self.run(move |mut session| async move {
            let own = TaskFilter::Query(TaskQuery { owner: Some(owner), ..TaskQuery::default() });
            let own = session.read().scan(own, ScanOrder::OldestFirst);
            let ids: Vec<TaskId> = own.map_ok(|record| record.task.id).try_collect().await?;
            if !ids.is_empty() {
                session.change().remove(&ids).await?;
            }
            session.commit(ids.len() as u64).await
        })
        .await
    }

    async fn prune(&self, batch: &RetentionBatch) -> Result<Pruned> {
        let batch = batch.clone();
        self.run(move |mut session| async move {
            let range = TaskFilter::Between(batch.after, batch.before);
            let scanned = session.read().scan(range, ScanOrder::OldestFirst).take(batch.limit as usize);
            let scanned = scanned.map_ok(|Record { task, last_sequence, .. }| {
                (task.id, last_sequence, batch.takes(task.status, task.finished_at))
            });
            let scanned: Vec<(TaskId, u64, bool)> = scanned.try_collect().await?;
            let next = scanned.last().map(|(id, ..)| *id).filter(|_| scanned.len() == batch.limit as usize);
            let mut old: Vec<(TaskId, u64)> =
                scanned.into_iter().filter(|(.., old)| *old).map(|(id, last, _)| (id, last)).collect();
            let needed = needed(&mut session, old.iter().map(|(id, _)| *id).collect()).await?;
            old.retain(|(id, _)| !needed.contains(id));
            let mut begin = session.read().event_log_bounds().await?.begin;
            for (id, last) in &old {
                let last = EventFilter::OfTask(*id, last.saturating_sub(1));
                let last = session.read().events(last).try_next().await?;
                begin = begin.max(last.map_or(begin, |entry| entry.position));
            }
            let ids: Vec<TaskId> = old.into_iter().map(|(id, _)| id).collect();
            if !ids.is_empty() {
                session.change().remove(&ids).await?;
                session.change().set_event_log_begin(begin).await?;
            }
            session.commit(Pruned { removed: ids.len() as u64, next }).await
        })
        .await
    }
}

/// Returns those of these tasks that an unfinished task has requested in its last wait: its next claim has them.
async fn needed<T: TaskTransaction>(
    session: &mut Session<T>,
    tasks: HashSet<TaskId>,
) -> Result<HashSet<TaskId>> {
    let mut waits = session.read().waits(&tasks.iter().copied().collect::<Vec<_>>()).await?;
    waits.retain(|wait| tasks.contains(&wait.child));
    let parents: HashSet<TaskId> = waits.iter().map(|wait| wait.parent).collect();
    let parents = session.read().load(&parents.into_iter().collect::<Vec<_>>()).await?;
    let unfinished = parents.iter().filter(|record| !record.task.status.has_ended());
    let unfinished: HashSet<TaskId> = unfinished.map(|record| record.task.id).collect();
    Ok(waits.iter().filter(|wait| unfinished.contains(&wait.parent)).map(|wait| wait.child).collect())
}
