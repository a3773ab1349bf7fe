//! A task, how it is asked for, how it is found, how it is held.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{TaskId, UserId, WorkerId};
use super::outcome::TaskError;
use super::status::TaskStatus;
use super::trace::TraceContext;
use crate::bounds;
use crate::error::{Error, Result};

/// So much waiting is each level of priority worth: a task of priority 0 that has waited 90 minutes goes before a new one
/// of priority 9. So nothing waits for ever behind what is more urgent.
pub const AGEING: Duration = Duration::from_secs(600);

/// A request for work: which agent, with what payload, and how urgently.
///
/// Only the agent is required; everything else has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTask {
    /// Name of the agent that is to do it.
    pub agent: String,
    /// What the agent gets; checked against its input schema. Default `{}`.
    #[serde(default = "empty_object")]
    pub payload: Value,
    /// A short name for people, at most 200 characters.
    #[serde(default)]
    pub title: String,
    /// More words for people, at most 4,000 characters.
    #[serde(default)]
    pub description: String,
    /// 0 (whenever) to 9 (first) among the owner's tasks, see [`AGEING`]; default 5.
    #[serde(default = "default_priority")]
    pub priority: u8,
    /// How long one attempt may run, in seconds, 1 to 86,400; default 300.
    #[serde(default = "default_timeout_seconds")]
    pub timeout_seconds: u32,
    /// How many attempts may fail before the task does, 1 to 100; default 3.
    #[serde(default = "default_max_attempts")]
    pub max_attempts: u32,
    /// Not before this instant, from a day ago to ten years from now; default: at once.
    #[serde(default)]
    pub run_at: Option<DateTime<Utc>>,
    /// The same key from the same owner gives the same task; at most 200 characters.
    #[serde(default)]
    pub idempotency_key: Option<String>,
    /// While a task of this owner and agent with this key is pending or processing, asking again gives that one, whatever
    /// else is asked for; at most 200 characters, and not beside an idempotency key.
    #[serde(default)]
    pub unique_key: Option<String>,
}

fn empty_object() -> Value {
    Value::Object(serde_json::Map::new())
}
fn default_priority() -> u8 {
    5
}
fn default_timeout_seconds() -> u32 {
    300
}
fn default_max_attempts() -> u32 {
    3
}

impl NewTask {
    /// A task for `agent` with `payload` and every other field at its default.
    pub fn new(agent: impl Into<String>, payload: Value) -> Self {
        Self {
            agent: agent.into(),
            payload,
            title: String::new(),
            description: String::new(),
            priority: default_priority(),
            timeout_seconds: default_timeout_seconds(),
            max_attempts: default_max_attempts(),
            run_at: None,
            idempotency_key: None,
            unique_key: None,
        }
    }

    /// Checks every bound that the fields name. The payload is checked by the engine, which knows the agent.
    ///
    /// # Errors
    /// `InvalidInput` naming the first field that does not fit.
    pub fn validate(&self) -> Result<()> {
        let long = |field: &str, text: &str, max: usize| match text.chars().count() {
            n if n > max => Err(Error::invalid(field, format!("expected at most {max} characters, got {n}"))),
            _ => Ok(()),
        };
        let within = |field: &str, n: u32, min: u32, max: u32| {
            if (min..=max).contains(&n) {
                Ok(())
            } else {
                Err(Error::invalid(field, format!("expected {min} to {max}, got {n}")))
            }
        };
        if self.agent.is_empty() {
            return Err(Error::invalid("agent", "expected the name of an agent, got an empty string"));
        }
        long("agent", &self.agent, 100)?;
        long("title", &self.title, 200)?;
        long("description", &self.description, 4_000)?;
        within("priority", u32::from(self.priority), 0, 9)?;
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

    /// Checks that `run_at` lies between a day ago and ten years from now.
    ///
    /// # Errors
    /// `InvalidInput` naming `run_at`.
    pub fn validate_times(&self, now: DateTime<Utc>) -> Result<()> {
        self.run_at.map_or(Ok(()), |at| bounds::time("run_at", at, now))
    }
}

/// A task as it stands in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Its key.
    pub id: TaskId,
    /// Whose it is; none when the engine is used without identity.
    pub owner: Option<UserId>,
    /// The agent that does it.
    pub agent: String,
    /// A short name for people.
    pub title: String,
    /// More words for people.
    pub description: String,
    /// What the agent gets.
    pub payload: Value,
    /// 0 to 9, 9 first.
    pub priority: u8,
    /// How long one attempt may run, in seconds.
    pub timeout_seconds: u32,
    /// How many attempts may fail before the task does.
    pub max_attempts: u32,
    /// Not claimed before this instant.
    pub run_at: DateTime<Utc>,
    /// The caller's key against doing it twice.
    pub idempotency_key: Option<String>,
    /// The key of which only one task of its owner and agent is pending or processing at a time.
    #[serde(default)]
    pub unique_key: Option<String>,
    /// Where it stands.
    pub status: TaskStatus,
    /// How often it was claimed; with the id and the worker it is the fence of a claim.
    pub attempt: u32,
    /// How many attempts ended in an error or were lost with their worker.
    pub failures: u32,
    /// What the agent gave, once completed.
    pub result: Option<Value>,
    /// What went wrong last, also while a retry is pending.
    pub error: Option<TaskError>,
    /// What the agent asked to be handed again when its children have ended.
    pub state: Option<Value>,
    /// The task that waits for this one.
    pub parent: Option<TaskId>,
    /// How many children have still to end before it is due again.
    pub waiting_for: u32,
    /// Somebody asked a running task to stop; its worker learns of it at the next heartbeat.
    pub cancel_requested: bool,
    /// Who holds the lease.
    pub worker: Option<WorkerId>,
    /// When the lease runs out.
    pub lease_until: Option<DateTime<Utc>>,
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// When anything of it changed last.
    pub updated_at: DateTime<Utc>,
    /// When its latest attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// The trace that its work continues: that of the request which asked for it. Callers cannot set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

impl Task {
    /// The task that `new` asks for, pending, not yet in any store.
    pub fn pending(new: NewTask, owner: Option<UserId>, parent: Option<TaskId>, now: DateTime<Utc>) -> Self {
        Self {
            id: TaskId::new(),
            owner,
            agent: new.agent,
            title: new.title,
            description: new.description,
            payload: new.payload,
            priority: new.priority,
            timeout_seconds: new.timeout_seconds,
            max_attempts: new.max_attempts,
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

    /// Makes it run: an attempt more, held by this worker until then.
    pub fn claim(&mut self, worker: WorkerId, lease_until: DateTime<Utc>, now: DateTime<Utc>) {
        self.status = TaskStatus::Processing;
        self.attempt = self.attempt.saturating_add(1);
        self.worker = Some(worker);
        self.lease_until = Some(lease_until);
        self.started_at = Some(now);
        self.updated_at = now;
    }

    /// The task as it was added, before its first attempt.
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

    /// Where it stands among the due tasks of its owner, the least first.
    pub fn rank(&self) -> (DateTime<Utc>, DateTime<Utc>, TaskId) {
        rank(self.priority, self.run_at, self.id)
    }

    /// How long one attempt may run.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds))
    }
}

/// Where a task stands among the due tasks of its owner, the least first: by the time at which it was due, [`AGEING`]
/// earlier for each priority; of two alike the one that waits longer.
pub fn rank(priority: u8, run_at: DateTime<Utc>, id: TaskId) -> (DateTime<Utc>, DateTime<Utc>, TaskId) {
    let aged =
        run_at.checked_sub_signed(TimeDelta::seconds(AGEING.as_secs().cast_signed() * i64::from(priority)));
    (aged.unwrap_or(run_at), run_at, id)
}

/// The fence of a claim: only who can show all three may renew it, append to it or finish it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClaimKey {
    /// The task.
    pub task: TaskId,
    /// Its attempt.
    pub attempt: u32,
    /// The worker that claimed it.
    pub worker: WorkerId,
}

/// A task that a worker holds, with what it needs to run it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The task as it stands after the claim: processing, its attempt counted.
    pub task: Task,
    /// The children it waited for, ended, in the order in which they were asked for.
    pub children: Vec<Task>,
}

impl Claim {
    /// The fence of this claim.
    pub fn key(&self) -> ClaimKey {
        ClaimKey {
            task: self.task.id,
            attempt: self.task.attempt,
            worker: self.task.worker.unwrap_or(WorkerId(uuid::Uuid::nil())),
        }
    }
}

/// Which tasks to list. Newest first; every set field narrows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskQuery {
    /// Only this owner's.
    pub owner: Option<UserId>,
    /// Only in this status.
    pub status: Option<TaskStatus>,
    /// Only of this agent.
    pub agent: Option<String>,
    /// Only children of this task.
    pub parent: Option<TaskId>,
    /// Only created at or after.
    pub created_after: Option<DateTime<Utc>>,
    /// Only created before.
    pub created_before: Option<DateTime<Utc>>,
    /// Only those older than this key: where the page before ended.
    pub before: Option<TaskId>,
    /// At most so many, 1 to 100.
    pub limit: u32,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskPage {
    /// Newest first.
    pub items: Vec<Task>,
    /// Hand this back as `before` for the next page; none at the end.
    pub next: Option<TaskId>,
}

impl TaskPage {
    /// Bytes that the payloads, results and states of a page of several tasks take at most, as they are stored.
    pub const MAX_BYTES: usize = 1_000_000;

    /// The page of these tasks: at most `limit`, and no more than fit into [`MAX_BYTES`](Self::MAX_BYTES), but at least
    /// one. Each comes with the bytes that it takes, and is read only if it is part of the page.
    ///
    /// # Errors
    /// That of the first task of the page which cannot be read.
    pub fn of<R, E>(tasks: impl IntoIterator<Item = (usize, R)>, limit: usize) -> std::result::Result<Self, E>
    where
        R: FnOnce() -> std::result::Result<Task, E>,
    {
        let (mut items, mut taken) = (Vec::<Task>::new(), 0);
        for (bytes, read) in tasks {
            taken += bytes;
            if items.len() >= limit || (taken > Self::MAX_BYTES && !items.is_empty()) {
                return Ok(Self { next: items.last().map(|task| task.id), items });
            }
            items.push(read()?);
        }
        Ok(Self { items, next: None })
    }
}

/// How many tasks of one agent stand in one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TaskCount {
    /// The agent.
    pub agent: String,
    /// The status.
    pub status: TaskStatus,
    /// How many; never 0.
    pub count: u64,
}

/// What is in the task store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStatistics {
    /// By agent, then by status.
    pub counts: Vec<TaskCount>,
}

/// How far a queue is behind: its pending tasks, as far as they wait for no child.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many, also those that are not due yet.
    pub tasks: u64,
    /// Since when the one that has waited longest could have been claimed, or will be.
    pub oldest: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bounds_name_the_field() {
        let mut task = NewTask::new("echo", json!({}));
        assert!(task.validate().is_ok());
        task.priority = 10;
        assert_eq!(task.validate().unwrap_err().field(), Some("priority"));
        task.priority = 9;
        task.max_attempts = 0;
        assert_eq!(task.validate().unwrap_err().field(), Some("max_attempts"));
        task.max_attempts = 1;
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
