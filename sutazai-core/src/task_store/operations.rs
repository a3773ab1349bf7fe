//! Calls of the ports that a unit of work answers by itself: claims, heartbeats, outcomes and events.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use super::repository::TaskRepository;
use super::unit_of_work::UnitOfWork;
use crate::domain::task::lifecycle::Command;
use crate::domain::{Claim, ClaimKey, NewEvent, OutcomeRecord, Task, TaskId, later};
use crate::error::Result;
use crate::ports::{ClaimRequest, LeaseState};

impl<R: TaskRepository> UnitOfWork<'_, R> {
    /// Claims these due tasks for `request`. Those whose record is damaged end as failed instead.
    ///
    /// # Errors
    /// `Conflict` for a task that is not due, and those of the repository.
    pub async fn claim(
        &mut self,
        request: &ClaimRequest,
        mut due: Vec<TaskId>,
    ) -> Result<Vec<Claim>, R::Error> {
        self.load(due.iter().copied()).await?;
        let lease_until = later(request.now, request.lease);
        let damaged: Vec<_> = due.iter().filter_map(|id| Some((*id, self.damage(*id)?))).collect();
        for (id, error) in damaged {
            tracing::error!(task = %id, "damaged task failed");
            self.apply(id, Command::Park(error), request.now).await??;
            due.retain(|due| *due != id);
        }
        for id in &due {
            let claim = Command::Claim { worker: request.worker, lease_until };
            self.apply(*id, claim, request.now).await??;
        }
        let tasks: Vec<Task> = due.iter().filter_map(|id| self.task(*id).cloned()).collect();
        // Only a task that has waited before has a state, so most claims read no children.
        let waited = tasks.iter().filter(|task| task.state.is_some());
        let parents: Vec<TaskId> = waited.map(|task| task.id).collect();
        let mut children: HashMap<TaskId, Vec<Task>> = HashMap::new();
        for (parent, child) in self.children(&parents).await? {
            children.entry(parent).or_default().extend(self.task(child).cloned());
        }
        let claim = |task: Task| Claim { children: children.remove(&task.id).unwrap_or_default(), task };
        Ok(tasks.into_iter().map(claim).collect())
    }

    /// Extends the leases of these claims; returns one state per claim, in order, and the renewed tasks that other
    /// tasks wait for.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn renew(
        &mut self,
        claims: &[ClaimKey],
        lease_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(Vec<LeaseState>, Vec<TaskId>), R::Error> {
        self.load(claims.iter().map(|claim| claim.task)).await?;
        let (mut states, mut awaited) = (Vec::with_capacity(claims.len()), Vec::new());
        for claim in claims {
            let renewed = self.apply(claim.task, Command::Renew { claim: *claim, lease_until }, now).await?;
            let state = match self.task(claim.task).filter(|_| renewed.is_ok()) {
                Some(task) if task.cancel_requested => LeaseState::CancelRequested,
                Some(_) => LeaseState::Held,
                None => LeaseState::Lost,
            };
            awaited.extend(Some(claim.task).filter(|id| renewed.is_ok() && self.is_awaited(*id)));
            states.push(state);
        }
        Ok((states, awaited))
    }

    /// Records outcomes; returns one result per outcome, in order.
    ///
    /// # Errors
    /// Those of the repository.
    pub async fn record_outcomes(
        &mut self,
        finished: Vec<OutcomeRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Result<()>>, R::Error> {
        self.load(finished.iter().map(|record| record.claim.task)).await?;
        let mut results = Vec::with_capacity(finished.len());
        for record in finished {
            results.push(match self.fence(&record.claim) {
                Ok(()) => self.apply(record.claim.task, Command::Record(record), now).await?,
                spent => spent,
            });
        }
        Ok(results)
    }

    /// Appends events that an agent reports under its claim.
    ///
    /// # Errors
    /// `Conflict` for a claim that no longer holds its task, and those of the repository.
    pub async fn append(&mut self, claim: &ClaimKey, events: Vec<NewEvent>) -> Result<(), R::Error> {
        self.load([claim.task]).await?;
        self.fence(claim)?;
        for event in events {
            self.event(claim.task, event.at, event.kind);
        }
        Ok(())
    }
}
