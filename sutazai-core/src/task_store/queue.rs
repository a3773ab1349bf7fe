//! Port [`TaskQueue`] over the transactions of a storage.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, future};

use super::repository::Record;
use super::session::Session;
use super::storage::{ScanOrder, TaskFilter, TaskStorage, TaskTransaction};
use super::transactional::TransactionalTaskStore;
use super::unit_of_work::UnitOfWork;
use crate::domain::task::lifecycle::Command;
use crate::domain::{
    Backlog, Claim, ClaimKey, MAX_AHEAD, OutcomeRecord, Task, TaskId, TaskStatus, UserId, quota,
};
use crate::error::Result;
use crate::ports::{ClaimRequest, LeaseState, TaskQueue};

#[async_trait]
impl<S: TaskStorage> TaskQueue for TransactionalTaskStore<S> {
    async fn enqueue_within(&self, tasks: Vec<Task>, max_pending: Option<u32>) -> Result<Vec<Task>> {
        self.run(move |mut session| async move {
            let mut changes = UnitOfWork::new(&mut session);
            let (mut ids, mut owners) = (Vec::with_capacity(tasks.len()), BTreeSet::new());
            for task in tasks {
                let (id, owner) = (task.id, task.owner);
                let stored = changes.add(task).await?;
                let is_pending = changes.task(id).is_some_and(|task| task.status == TaskStatus::Pending);
                owners.extend(owner.filter(|_| stored == id && is_pending));
                ids.push(stored);
            }
            let stored = ids.iter().filter_map(|id| changes.task(*id).cloned()).collect();
            changes.flush().await?;
            if let Some(max) = max_pending {
                for owner in owners {
                    check_pending(&mut session, owner, max).await?;
                }
            }
            session.commit(stored).await
        })
        .await
    }

    async fn claim(&self, request: &ClaimRequest) -> Result<Vec<Claim>> {
        let request = request.clone();
        self.run(move |mut session| async move {
            let due = due(&mut session, &request).await?;
            let mut changes = UnitOfWork::new(&mut session);
            let claims = changes.claim(&request, due).await?;
            changes.flush().await?;
            session.commit(claims).await
        })
        .await
    }

    async fn renew(
        &self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<LeaseState>> {
        let claims = claims.to_vec();
        self.run(move |mut session| async move {
            let mut changes = UnitOfWork::new(&mut session);
            let (states, awaited) = changes.renew(&claims, lease_until, now).await?;
            changes.flush().await?;
            session.write_heartbeats(&awaited, now).await?;
            session.commit(states).await
        })
        .await
    }

    async fn record_outcomes(
        &self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>> {
        match record(self, finished.clone(), now).await {
            // An outcome that cannot be stored must not affect the others.
            Err(e) if finished.len() > 1 && !e.kind().is_transient() => {
                let mut results = Vec::with_capacity(finished.len());
                for outcome in finished {
                    let recorded = record(self, vec![outcome], now).await;
                    results.push(recorded.and_then(|results| results.into_iter().collect()));
                }
                Ok(results)
            }
            recorded => recorded,
        }
    }

    async fn reap(&self, now: DateTime<Utc>) -> Result<u64> {
        self.run(move |mut session| async move {
            let is_expired = |record: &Record| record.task.lease_until.is_some_and(|until| until <= now);
            let running = scan(&mut session, TaskFilter::status(TaskStatus::Processing));
            let expired = running.try_filter(|record| future::ready(is_expired(record)));
            let expired: Vec<Record> = expired.try_collect().await?;
            let reaped = expired.len() as u64;
            let mut changes = UnitOfWork::new(&mut session);
            for record in expired {
                let id = record.task.id;
                changes.keep(record);
                changes.apply(id, Command::Reap, now).await??;
            }
            changes.flush().await?;
            session.commit(reaped).await
        })
        .await
    }

    async fn next_due(&self, agents: &[String]) -> Result<Option<DateTime<Utc>>> {
        let agents = agents.to_vec();
        self.run(move |mut session| async move {
            let mut next: Option<DateTime<Utc>> = None;
            let mut consider = |time: DateTime<Utc>| next = Some(next.map_or(time, |next| next.min(time)));
            let mut queued = queued(&mut session);
            while let Some(task) = queued.try_next().await? {
                if agents.contains(&task.agent) {
                    consider(task.run_at);
                }
            }
            drop(queued);
            let mut running = scan(&mut session, TaskFilter::status(TaskStatus::Processing));
            while let Some(record) = running.try_next().await? {
                record.task.lease_until.into_iter().for_each(&mut consider);
            }
            drop(running);
            Ok(next)
        })
        .await
    }

    async fn ahead(&self, task: &Task, now: DateTime<Utc>) -> Result<u32> {
        let (owner, key) = (task.owner, task.scheduling_key());
        self.run(move |mut session| async move {
            let is_ahead =
                |task: &Task| task.owner == owner && task.run_at <= now && task.scheduling_key() < key;
            let ahead = queued(&mut session).try_filter(|task| future::ready(is_ahead(task)));
            let counted = ahead.take(MAX_AHEAD as usize);
            counted.try_fold(0, |count, _| future::ready(Ok(count + 1))).await
        })
        .await
    }

    async fn backlog(&self) -> Result<Backlog> {
        self.run(|mut session| async move {
            let due_times: Vec<_> = queued(&mut session).map_ok(|task| task.run_at).try_collect().await?;
            Ok(Backlog::of(due_times))
        })
        .await
    }
}

/// Records outcomes in one transaction.
async fn record<S: TaskStorage>(
    store: &TransactionalTaskStore<S>,
    finished: Vec<OutcomeRecord>,
    now: DateTime<Utc>,
) -> Result<Vec<Result<()>>> {
    store
        .run(move |mut session| async move {
            let mut changes = UnitOfWork::new(&mut session);
            let results = changes.record_outcomes(finished, now).await?;
            changes.flush().await?;
            session.commit(results).await
        })
        .await
}

/// Returns the tasks that the filter matches, the oldest first.
fn scan<T: TaskTransaction>(session: &mut Session<T>, filter: TaskFilter) -> BoxStream<'_, Result<Record>> {
    session.read().scan(filter, ScanOrder::OldestFirst)
}

/// Returns the pending tasks that wait for no child.
fn queued<T: TaskTransaction>(session: &mut Session<T>) -> BoxStream<'_, Result<Task>> {
    let pending = scan(session, TaskFilter::status(TaskStatus::Pending)).map_ok(|record| record.task);
    pending.try_filter(|task| future::ready(task.waiting_for == 0)).boxed()
}

/// Returns an error if more than `max` tasks of an owner are pending; the count stops there.
async fn check_pending<T: TaskTransaction>(session: &mut Session<T>, owner: UserId, max: u32) -> Result<()> {
    let (mut tasks, mut pending) = (queued(session), 0);
    while let Some(task) = tasks.try_next().await? {
        pending += u32::from(task.owner == Some(owner));
        if pending > max {
            return Err(quota::queue_full(max));
        }
    }
    Ok(())
}

/// Returns the due tasks that a request claims, in the order of the claims.
async fn due<T: TaskTransaction>(session: &mut Session<T>, request: &ClaimRequest) -> Result<Vec<TaskId>> {
    let mut due: BTreeMap<Option<UserId>, Vec<Task>> = BTreeMap::new();
    let mut tasks = queued(session);
    while let Some(task) = tasks.try_next().await? {
        if task.run_at <= request.now && request.agents.contains(&task.agent) {
            due.entry(task.owner).or_default().push(task);
        }
    }
    drop(tasks);
    due.values_mut().for_each(|due| due.sort_by_key(Task::scheduling_key));
    let mut running = Vec::new();
    if request.limits.are_set() {
        let processing = scan(session, TaskFilter::status(TaskStatus::Processing));
        running = processing.map_ok(|record| (record.task.owner, record.task.agent, 1)).try_collect().await?;
    }
    Ok(request.select(due.iter().map(|(owner, due)| (*owner, due.iter())), running))
}
