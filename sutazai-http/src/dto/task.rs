//! Tasks and their events.

use chrono::{DateTime, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sutazai_core::domain::{
    EventKind, Task, TaskError, TaskEvent, TaskId, TaskPage, TaskQuery, TaskStatus, UserId,
};
use sutazai_core::{ErrorKind, Result};

use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};

/// A task as its owner sees it; how the workers hold it is not theirs to know.
#[derive(Debug, Serialize)]
pub(crate) struct TaskView {
    id: TaskId,
    owner: Option<UserId>,
    agent: String,
    title: String,
    description: String,
    payload: Value,
    priority: u8,
    timeout_seconds: u32,
    max_attempts: u32,
    run_at: DateTime<Utc>,
    idempotency_key: Option<String>,
    status: TaskStatus,
    attempt: u32,
    failures: u32,
    result: Option<Value>,
    error: Option<TaskError>,
    parent: Option<TaskId>,
    cancel_requested: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl From<Task> for TaskView {
    fn from(task: Task) -> Self {
        Self {
            id: task.id,
            owner: task.owner,
            agent: task.agent,
            title: task.title,
            description: task.description,
            payload: task.payload,
            priority: task.priority,
            timeout_seconds: task.timeout_seconds,
            max_attempts: task.max_attempts,
            run_at: task.run_at,
            idempotency_key: task.idempotency_key,
            status: task.status,
            attempt: task.attempt,
            failures: task.failures,
            result: task.result,
            error: task.error.map(shown),
            parent: task.parent,
            cancel_requested: task.cancel_requested,
            created_at: task.created_at,
            updated_at: task.updated_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
        }
    }
}

/// The event as its owner sees it.
pub(crate) fn event_view(mut event: TaskEvent) -> TaskEvent {
    if let EventKind::Status { error, .. } = &mut event.kind {
        *error = error.take().map(shown);
    }
    event
}

/// The text of an internal error stays in the log.
fn shown(error: TaskError) -> TaskError {
    match error.kind {
        ErrorKind::Internal => TaskError { message: "the agent failed; the log has more".into(), ..error },
        _ => error,
    }
}

/// The parameters of a listing.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListTasks {
    #[serde(default = "default_limit")]
    limit: u32,
    cursor: Option<String>,
    status: Option<TaskStatus>,
    agent: Option<String>,
    #[serde(default, deserialize_with = "time")]
    created_after: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "time")]
    created_before: Option<DateTime<Utc>>,
}

/// A time of RFC 3339; what is none is told what was expected.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let expected = |_| D::Error::custom("expected a time such as 2026-01-31T12:00:00Z");
    DateTime::parse_from_rfc3339(&text).map(|time| Some(time.to_utc())).map_err(expected)
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListTasks {
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn query(self) -> Result<TaskQuery> {
        Ok(TaskQuery {
            status: self.status,
            agent: self.agent,
            created_after: self.created_after,
            created_before: self.created_before,
            before: self.cursor.as_deref().map(read_cursor).transpose()?.map(TaskId),
            limit: self.limit,
            ..TaskQuery::default()
        })
    }
}

/// One page of tasks.
#[derive(Debug, Serialize)]
pub(crate) struct TaskList {
    items: Vec<TaskView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<TaskPage> for TaskList {
    fn from(page: TaskPage) -> Self {
        Self {
            items: page.items.into_iter().map(TaskView::from).collect(),
            next_cursor: page.next.map(|id| write_cursor(id.0)),
        }
    }
}
