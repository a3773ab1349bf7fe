//! Records of tasks: submission, the stored task, claims and statistics.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::agent::TaskDefaults;
use crate::domain::id::{InstanceId, TaskId, UserId};
use crate::domain::status::TaskStatus;
use crate::domain::task_error::TaskError;
use crate::domain::trace::TraceContext;
use crate::error::{Error, Result};
use crate::validation;

/// Priority aging per level: a task of priority 0 that has waited 90 minutes precedes a new one of priority 9. Without
/// aging a steady stream of urgent tasks would starve the others forever.
pub const PRIORITY_AGING: Duration = Duration::from_secs(600);

/// Request to run a task: the agent, its payload and the priority.
///
/// Only the agent is required; every other field has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// Name of the agent that runs the task.
    pub agent: String,
    /// Payload for the agent, validated against its input schema. Default `{}`.
    #[serde(default = "empty_object")]
    pub payload: Value,
    /// Short title for people, at most 200 characters.
    #[serde(default)]
    pub title: String,
    /// Longer description for people, at most 4,000 characters.
    #[serde(default)]
    pub description: String,
    /// Priority among the owner's tasks, 0 (lowest) to 9 (highest), subject to [`PRIORITY_AGING`]; default: that of the
    /// agent.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Time limit of one attempt in seconds, 1 to 86,400; default: that of the agent.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// Number of failed attempts after which the task fails, 1 to 100; default: that of the agent.
    #[serde(default)]
    pub max_attempts: Option<u32>,
    /// Earliest start, from one day ago to ten years from now; default: at once.
    #[serde(default)]
    pub run_at: Option<DateTime<Utc>>,
    /// Idempotency key: repeated submissions of an owner with the same key return the same task; at most 200
    /// characters.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// Deduplication key: while a task of this owner and agent with this key is pending or processing, a submission
    /// returns that task, whatever else it requests. At most 200 characters, and not combined with an idempotency key.
    #[serde(default)]
    pub unique_key: Option<String>,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}

impl NewTask {
    /// Creates a request with `agent`, `payload` and the default of every other field.
    pub fn new(agent: impl Into<String>, payload: Value) -> Self {
        Self {
            agent: agent.into(),
            payload,
            title: String::new(),
            description: String::new(),
            priority: None,
            timeout_seconds: None,
            max_attempts: None,
            run_at: None,
            idempotency_key: None,
            unique_key: None,
        }
    }

    /// Checks the bounds of every field except the payload, which the engine validates with the agent's schema.
    ///
    /// # Errors
    /// `InvalidInput` naming the first invalid field.
    pub fn validate(&self) -> Result<()> {
        let long = |field: &str, text: &str, max: usize| match text.chars().count() {
            n if n > max => Err(Error::invalid(field, format!("expected at most {max} characters, got {n}"))),
            _ => Ok(()),
        };
        let within = |field: &str, n: Option<u32>, min: u32, max: u32| match n {
            Some(n) if !(min..=max).contains(&n) => {
                Err(Error::invalid(field, format!("expected {min} to {max}, got {n}")))
            }
            _ => Ok(()),
        };
        if self.agent.is_empty() {
            return Err(Error::invalid("agent", "expected the name of an agent, got an empty string"));
        }
        long("agent", &self.agent, 100)?;
        long("title", &self.title, 200)?;
        long("description", &self.description, 4_000)?;
        within("priority", self.priority.map(u32::from), 0, 9)?;
        within("timeout_seconds", self.timeout_seconds, 1, 86_400)?;
        within("max_attempts", self.max_attempts, 1, 100)?;
        for (field, key) in [("idempotency_key", &self.idempotency_key), ("unique_key", &self.unique_key)] {
            let Some(key) = key else { continue };
            if key.is_empty() {
                return Err(Error::invalid(field, "expected 1 to 200 characters, got none"));
            }
            long(field, key, 200)?;
        }
        if self.idempotency_key.is_some() && self.unique_key.is_some() {
            return Err(Error::invalid("unique_key", "expected it without an idempotency_key, got both"));
        }
        Ok(())
    }

    /// Fills in the settings that the request leaves out.
    #[must_use]
    pub(crate) fn or_defaults(mut self, defaults: &TaskDefaults) -> Self {
        self.priority.get_or_insert(defaults.priority);
        self.timeout_seconds.get_or_insert(defaults.timeout_seconds);
        self.max_attempts.get_or_insert(defaults.max_attempts);
        self
    }

    /// Checks that `run_at` lies between one day ago and ten years from now.
    ///
    /// # Errors
    /// `InvalidInput` naming `run_at`.
    pub fn validate_times(&self, now: DateTime<Utc>) -> Result<()> {
        self.run_at.map_or(Ok(()), |at| validation::time("run_at", at, now))
    }
}

/// A task as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Primary key of the task.
    pub id: TaskId,
    /// Owner of the task; `None` if the engine is used without identity.
    pub owner: Option<UserId>,
    /// Name of the agent that runs it.
    pub agent: String,
    /// Short title for people.
    pub title: String,
    /// Longer description for people.
    pub description: String,
    /// Payload for the agent.
    pub payload: Value,
    /// Priority, 0 (lowest) to 9 (highest).
    pub priority: u8,
    /// Time limit of one attempt in seconds.
    pub timeout_seconds: u32,
    /// Number of failed attempts after which the task fails.
    pub max_attempts: u32,
    /// Earliest time at which it can be claimed.
    pub run_at: DateTime<Utc>,
    /// Idempotency key of the submission, if it had one.
    pub idempotency_key: Option<String>,
    /// Deduplication key: at most one task of an owner and agent with this key is pending or processing.
    #[serde(default)]
    pub unique_key: Option<String>,
    /// Current status of the task.
    pub status: TaskStatus,
    /// Number of claims so far; together with the task and the worker it is the fence of a claim.
    pub attempt: u32,
    /// Number of attempts that ended in an error or were lost with their worker.
    pub failures: u32,
    /// Result of the agent, once completed.
    pub result: Option<Value>,
    /// Latest error, also while a retry is pending.
    pub error: Option<TaskError>,
    /// State that the agent saved for its next run, after its children have ended.
    pub state: Option<Value>,
    /// The parent task that waits for this one.
    pub parent: Option<TaskId>,
    /// Number of children that must still end before it is due again.
    pub waiting_for: u32,
    /// Indicates that cancellation of the running task was requested; its worker is notified at the next heartbeat.
    pub cancel_requested: bool,
    /// Instance that holds the lease.
    pub worker: Option<InstanceId>,
    /// Time at which the lease expires unless it is renewed.
    pub lease_until: Option<DateTime<Utc>>,
    /// Time at which the task was submitted.
    pub created_at: DateTime<Utc>,
    /// Time at which the row was last changed.
    pub updated_at: DateTime<Utc>,
    /// Time at which the latest attempt started.
    pub started_at: Option<DateTime<Utc>>,
    /// Time at which the task ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Trace context of the submitting request, which the work continues. Callers cannot set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

impl Task {
    /// Creates the pending task that `new` requests; it is not yet stored. Settings that the request leaves out are
    /// those of [`TaskDefaults::default`]; an engine fills in those of the agent before.
    pub fn pending(new: NewTask, owner: Option<UserId>, parent: Option<TaskId>, now: DateTime<Utc>) -> Self {
        let defaults = TaskDefaults::default();
        Self {
            id: TaskId::new(),
            owner,
            agent: new.agent,
            title: new.title,
            description: new.description,
            payload: new.payload,
            priority: new.priority.unwrap_or(defaults.priority),
            timeout_seconds: new.timeout_seconds.unwrap_or(defaults.timeout_seconds),
            max_attempts: new.max_attempts.unwrap_or(defaults.max_attempts),
            run_at: new.run_at.unwrap_or(now),
            idempotency_key: new.idempotency_key,
            unique_key: new.unique_key,
            status: TaskStatus::Pending,
            attempt: 0,
            failures: 0,
            result: None,
            error: None,
            state: None,
            parent,
            waiting_for: 0,
            cancel_requested: false,
            worker: None,
            lease_until: None,
            created_at: now,
            updated_at: now,
            started_at: None,
            finished_at: None,
            trace: None,
        }
    }

    /// Returns the task as it was submitted, before its first attempt.
    #[must_use]
    pub fn as_added(&self) -> Self {
        Self {
            status: TaskStatus::Pending,
            attempt: 0,
            worker: None,
            lease_until: None,
            started_at: None,
            updated_at: self.created_at,
            ..self.clone()
        }
    }

    /// Returns the scheduling key among the due tasks of its owner; the smallest is claimed first.
    pub fn scheduling_key(&self) -> (DateTime<Utc>, DateTime<Utc>, TaskId) {
        scheduling_key(self.priority, self.run_at, self.id)
    }

    /// Returns the size of the payload, the result and the state as JSON, in bytes, which bounds pages of tasks.
    pub fn content_bytes(&self) -> usize {
        let values = [Some(&self.payload), self.result.as_ref(), self.state.as_ref()];
        values.into_iter().flatten().map(|value| value.to_string().len()).sum()
    }

    /// Returns the time limit of one attempt.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }
}

/// Returns the scheduling key among the due tasks of an owner; the smallest is claimed first.
///
/// It is the due time minus [`PRIORITY_AGING`] per priority level; ties go to the task that has waited longer. The key does not
/// depend on the current time, so an index on it stays valid while tasks age.
pub fn scheduling_key(
    priority: u8,
    run_at: DateTime<Utc>,
    id: TaskId,
) -> (DateTime<Utc>, DateTime<Utc>, TaskId) {
    let aged = run_at
        .checked_sub_signed(TimeDelta::seconds(PRIORITY_AGING.as_secs().cast_signed() * i64::from(priority)));
    (aged.unwrap_or(run_at), run_at, id)
}

/// Fence of a claim: only a holder with the current three values may renew the claim, append to it or complete it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// Id of the claimed task.
    pub task: TaskId,
    /// Number of the attempt.
    pub attempt: u32,
    /// Instance that holds the claim.
    pub worker: InstanceId,
}

/// A claimed task, with everything that its run needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The task after the claim: processing, with this attempt counted.
    pub task: Task,
    /// The children that it last waited for, in the order of their submission.
    pub children: Vec<Task>,
}

impl Claim {
    /// Returns the fence of this claim.
    pub fn key(&self) -> ClaimKey {
        ClaimKey {
            task: self.task.id,
            attempt: self.task.attempt,
            worker: self.task.worker.unwrap_or(InstanceId(uuid::Uuid::nil())),
        }
    }
}

/// Number of tasks of one agent in one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskCount {
    /// Name of the agent.
    pub agent: String,
    /// Status of the counted tasks.
    pub status: TaskStatus,
    /// Number of tasks; never 0.
    pub count: u64,
}

/// Statistics of the task store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStatistics {
    /// Counts sorted by agent, then by status.
    pub counts: Vec<TaskCount>,
}

impl TaskStatistics {
    /// Counts these tasks by agent and status.
    pub fn of<'t>(tasks: impl IntoIterator<Item = &'t Task>) -> Self {
        let mut counts = BTreeMap::new();
        for task in tasks {
            *counts.entry((&task.agent, task.status)).or_default() += 1;
        }
        let count =
            |((agent, status), count): ((&String, _), _)| TaskCount { agent: agent.clone(), status, count };
        Self { counts: counts.into_iter().map(count).collect() }
    }
}

/// Largest number of tasks before another one that a queue counts: to count more would cost more than the figure tells.
pub const MAX_AHEAD: u32 = 1_000;

/// Backlog of a queue: its pending tasks that do not wait for children.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Number of tasks, including those that are not due yet.
    pub tasks: u64,
    /// Due time of the task that has waited longest; in the future if none is due yet.
    pub oldest: Option<DateTime<Utc>>,
}

impl Backlog {
    /// Returns the backlog of pending tasks that wait for no child, by their due times.
    pub fn of(run_at: impl IntoIterator<Item = DateTime<Utc>>) -> Self {
        run_at.into_iter().fold(Self::default(), |backlog, run_at| Self {
            tasks: backlog.tasks + 1,
            oldest: Some(backlog.oldest.map_or(run_at, |oldest| oldest.min(run_at))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn invalid_field_is_named() {
        let mut task = NewTask::new("echo", json!({}));
        assert!(task.validate().is_ok());
        task.priority = Some(10);
        assert_eq!(task.validate().unwrap_err().field(), Some("priority"));
        task.priority = Some(9);
        task.max_attempts = Some(0);
        assert_eq!(task.validate().unwrap_err().field(), Some("max_attempts"));
        task.max_attempts = Some(1);
        task.title = "x".repeat(201);
        assert_eq!(task.validate().unwrap_err().field(), Some("title"));
        task.title.clear();
        for (unique, idempotent, good) in [
            (Some("k"), None, true),
            (Some(""), None, false),
            (Some(&*"k".repeat(201)), None, false),
            (Some("k"), Some("k"), false),
        ] {
            task.unique_key = unique.map(str::to_owned);
            task.idempotency_key = idempotent.map(str::to_owned);
            let field = task.validate().err().and_then(|e| e.field().map(str::to_owned));
            assert_eq!(field.as_deref(), (!good).then_some("unique_key"), "{unique:?} {idempotent:?}");
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let e = serde_json::from_value::<NewTask>(json!({"agent": "echo", "prio": 3})).unwrap_err();
        assert!(e.to_string().contains("prio"), "{e}");
    }
}
