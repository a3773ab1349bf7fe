//! Submission of tasks: checks the request and the permissions, then stores the tasks.

use serde::Serialize;
use tracing::{Instrument, info_span};

use super::engine::Engine;
use super::task_handle::TaskHandle;
use crate::domain::{Caller, NewTask, Permission, Task, TraceContext, UserId, UserRole};
use crate::engine::worker::reservation::Reservation;
use crate::error::{Error, ErrorKind, Result};
use crate::trace;

impl Engine {
    /// Submits a task of the default caller: this agent runs with this input. It is durable when this returns.
    ///
    /// # Errors
    /// `InvalidInput` naming `payload` if the input cannot be written as JSON or does not fit the agent's schema, and
    /// those of [`submit_as`](Self::submit_as).
    ///
    /// # Cancel safety
    /// A future that is dropped may have stored the task or not. To submit again without a second task, use
    /// [`submit_task`](Self::submit_task) with an idempotency key.
    pub async fn submit(&self, agent: impl Into<String>, input: impl Serialize) -> Result<TaskHandle> {
        let new = NewTask::from_input(agent, input)?;
        self.submit_task(new).await
    }

    /// Submits a task of the default caller, with a priority, retries and other settings; it is durable when this
    /// returns.
    ///
    /// # Errors
    /// Those of [`submit_as`](Self::submit_as).
    ///
    /// # Cancel safety
    /// That of [`submit`](Self::submit).
    pub async fn submit_task(&self, new: NewTask) -> Result<TaskHandle> {
        let task = self.submit_as(self.caller(), new).await?;
        Ok(self.handle(task.id))
    }

    /// Submits a task of this caller; it is durable when this returns.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field; `Forbidden` if the caller may not use the agent; `RateLimited` if too
    /// many tasks of the owner are pending; `Conflict` if the idempotency key belongs to a task with another request.
    ///
    /// # Cancel safety
    /// That of [`submit`](Self::submit).
    pub async fn submit_as(&self, caller: &Caller, new: NewTask) -> Result<Task> {
        let mut stored = self.submit_all_as(caller, vec![new]).await?;
        stored.pop().ok_or_else(|| Error::internal("the store returned no task"))
    }

    /// Submits tasks of this caller, all or none of them.
    ///
    /// # Errors
    /// Those of [`submit_as`](Self::submit_as).
    ///
    /// # Cancel safety
    /// A dropped future may have stored all of the tasks or none.
    pub async fn submit_all_as(&self, caller: &Caller, new: Vec<NewTask>) -> Result<Vec<Task>> {
        new.iter().try_for_each(|new| self.check(caller, new))?;
        let asked = self.pending(caller.owner(), new);
        // Only an earlier task that is returned for a known key can differ from the request.
        let keyed: Vec<Option<Task>> =
            asked.iter().map(|task| task.idempotency_key.is_some().then(|| task.clone())).collect();
        let stored = self.enqueue(asked).await?;
        for (task, asked) in stored.iter().zip(&keyed) {
            if asked.as_ref().is_some_and(|asked| !same_request(task, asked)) {
                let why = format!("it already belongs to task {}, which has different contents", task.id);
                return Err(Error::conflict(why).with_field("idempotency_key"));
            }
        }
        Ok(stored)
    }

    /// Checks that this caller may submit such a task.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field; `Forbidden` if the caller may not use the agent.
    pub fn check(&self, caller: &Caller, new: &NewTask) -> Result<()> {
        let needed = self.shared.parts.registry.check(new)?;
        needed.into_iter().try_for_each(|permission| self.require(caller, permission))?;
        new.validate_times(self.shared.parts.clock.now())
    }

    /// Submits tasks of this owner, provided that the owner has the permissions now. A known idempotency key returns
    /// the existing task, whatever it requests.
    ///
    /// # Errors
    /// `InvalidInput` naming the invalid field, `Forbidden`, and those of the store.
    pub(crate) async fn submit_for(&self, owner: Option<UserId>, new: Vec<NewTask>) -> Result<Vec<Task>> {
        let now = self.shared.parts.clock.now();
        let mut needed = Vec::new();
        for new in &new {
            needed.extend(self.shared.parts.registry.check(new)?);
            new.validate_times(now)?;
        }
        self.require_of_owner(owner, &needed).await?;
        self.enqueue(self.pending(owner, new)).await
    }

    /// Requires that the owner of a task has these permissions now.
    ///
    /// # Errors
    /// `Forbidden`, and those of the store.
    pub(super) async fn require_of_owner(&self, owner: Option<UserId>, needed: &[Permission]) -> Result<()> {
        let (Some(store), Some(id)) = (&self.shared.parts.identity_store, owner) else { return Ok(()) };
        let user = store.user(id).await?;
        if user.as_ref().is_some_and(|user| user.disabled) {
            return Err(Error::new(ErrorKind::Forbidden, "the owner of the task is disabled"));
        }
        let owner = Caller::User { id, role: user.map_or(UserRole::User, |user| user.role) };
        needed.iter().try_for_each(|permission| {
            self.require(&owner, *permission).map_err(|e| {
                let why = format!("the owner of the task lacks a permission that it needs: {}", e.message());
                Error::new(e.kind(), why)
            })
        })
    }

    /// Creates the requested tasks without storing them.
    fn pending(&self, owner: Option<UserId>, new: Vec<NewTask>) -> Vec<Task> {
        let now = self.shared.parts.clock.now();
        let registry = &self.shared.parts.registry;
        new.into_iter().map(|new| Task::pending(registry.complete(new), owner, None, now)).collect()
    }

    /// Stores tasks within a span of their own.
    async fn enqueue(&self, mut tasks: Vec<Task>) -> Result<Vec<Task>> {
        let parts = &self.shared.parts;
        let span = info_span!(
            "publish",
            otel.kind = "producer",
            messaging.system = "sutazai",
            messaging.operation.name = "publish",
            messaging.operation.type = "send",
            messaging.destination.name = tasks.first().map(|task| task.agent.as_str()),
            messaging.batch.message_count = tasks.len(),
        );
        let place = trace::current().unwrap_or_else(TraceContext::generate);
        let place = trace::start(parts.tracer.as_ref(), &span, place);
        tasks.iter_mut().for_each(|task| task.trace = Some(place.clone()));
        let Some(reservation) = Reservation::claim_for_this_process(&self.shared, &mut tasks) else {
            return parts.queue.enqueue_within(tasks, parts.max_pending_per_owner).instrument(span).await;
        };
        // Spawned, because the submitter may disconnect meanwhile: a task stored as claimed must reach the claimer, or
        // it would wait for its lease to expire.
        let shared = self.shared.clone();
        let adding = async move {
            let max_pending = shared.parts.max_pending_per_owner;
            let mut stored = shared.parts.queue.enqueue_within(tasks, max_pending).instrument(span).await?;
            reservation.dispatch(&mut stored).await;
            Ok(stored)
        };
        let added = self.shared.tracker.spawn(adding).await;
        added.unwrap_or_else(|e| Err(Error::internal("the tasks could not be added").with_source(e)))
    }
}

/// Returns whether `known` results from the same request as `asked`. The due time is compared only before the first
/// attempt, because a retry changes it.
fn same_request(known: &Task, asked: &Task) -> bool {
    // A request without `run_at` has its creation time there, which differs each time. Microseconds, because stores may
    // keep no more.
    let run_at = |task: &Task| {
        let at = task.run_at.timestamp_micros();
        (at != task.created_at.timestamp_micros()).then_some(at)
    };
    known.agent == asked.agent
        && known.payload == asked.payload
        && known.title == asked.title
        && known.description == asked.description
        && known.priority == asked.priority
        && known.timeout_seconds == asked.timeout_seconds
        && known.max_attempts == asked.max_attempts
        && (known.attempt > 0 || run_at(known) == run_at(asked))
}
