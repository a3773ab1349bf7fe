//! Tasks, their errors and their events.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sutazai_core::domain::{
    EventKind, NewTask, Task, TaskError, TaskEvent, TaskId, TaskPage, TaskQuery, TaskStatus, UserId,
};
use sutazai_core::{ErrorKind, Result};
use utoipa::{IntoParams, ToSchema};

use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};
use crate::dto::payload::Payload;
use crate::dto::time::time;
use crate::openapi::vocabulary::{KindWord, StatusWord};

/// Request to submit a task. Fields that are null or left out get their default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTask {
    /// Name of the agent that runs the task.
    #[schema(min_length = 1, max_length = 100, example = "hardware-optimizer")]
    agent: String,
    /// Input of the agent; must conform to its `input_schema`. Default `{}`.
    #[schema(value_type = Option<Object>, example = json!({ "use_model": false }))]
    payload: Option<Payload>,
    /// Title of the task, for people.
    #[schema(max_length = 200, example = "Morning look")]
    title: Option<String>,
    /// Description of the task, for people.
    #[schema(max_length = 4000)]
    description: Option<String>,
    /// Priority among the tasks of this user, from 0 (lowest) to 9 (highest); default 5.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Maximum duration of one attempt in seconds; default 300.
    #[schema(minimum = 1, maximum = 86400)]
    timeout_seconds: Option<u32>,
    /// Number of failed attempts after which the task fails; default 3.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
    /// Earliest start, with microsecond precision; default: at once.
    #[serde(default, deserialize_with = "time")]
    run_at: Option<DateTime<Utc>>,
    /// Idempotency key: a repeated request of the same user with the same key returns the same task. The header
    /// `Idempotency-Key` is equivalent.
    #[schema(min_length = 1, max_length = 200)]
    idempotency_key: Option<String>,
    /// Deduplication key: while a task of the same user and agent with this key is pending or processing, that task
    /// is returned instead of a new one. Cannot be combined with an idempotency key.
    #[schema(min_length = 1, max_length = 200)]
    unique_key: Option<String>,
}

impl From<CreateTask> for NewTask {
    fn from(body: CreateTask) -> Self {
        let default = Self::new(
            body.agent,
            body.payload.map_or_else(|| Value::Object(Map::new()), |payload| payload.0),
        );
        Self {
            title: body.title.unwrap_or_default(),
            description: body.description.unwrap_or_default(),
            priority: body.priority.unwrap_or(default.priority),
            timeout_seconds: body.timeout_seconds.unwrap_or(default.timeout_seconds),
            max_attempts: body.max_attempts.unwrap_or(default.max_attempts),
            run_at: body.run_at,
            idempotency_key: body.idempotency_key,
            unique_key: body.unique_key,
            ..default
        }
    }
}

/// Task as shown to its owner, without the lease and the worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    #[schema(value_type = Uuid)]
    id: TaskId,
    /// Owner; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    agent: String,
    title: String,
    description: String,
    /// Input of the agent.
    payload: Value,
    priority: u8,
    timeout_seconds: u32,
    max_attempts: u32,
    run_at: DateTime<Utc>,
    idempotency_key: Option<String>,
    unique_key: Option<String>,
    #[schema(value_type = StatusWord)]
    status: TaskStatus,
    /// Number of attempts that were started.
    attempt: u32,
    /// Number of attempts that failed.
    failures: u32,
    /// Output of the agent, once the task has completed.
    result: Option<Value>,
    /// Latest error, also while a retry is pending.
    error: Option<TaskErrorView>,
    /// Parent task, which waits for this one.
    #[schema(value_type = Option<Uuid>)]
    parent: Option<TaskId>,
    /// True if cancellation was requested; the task ends as soon as its agent stops.
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
            unique_key: task.unique_key,
            status: task.status,
            attempt: task.attempt,
            failures: task.failures,
            result: task.result,
            error: task.error.map(TaskErrorView::from),
            parent: task.parent,
            cancel_requested: task.cancel_requested,
            created_at: task.created_at,
            updated_at: task.updated_at,
            started_at: task.started_at,
            finished_at: task.finished_at,
        }
    }
}

/// Error of an attempt.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskError)]
pub(crate) struct TaskErrorView {
    #[schema(value_type = KindWord)]
    kind: ErrorKind,
    message: String,
}

impl From<TaskError> for TaskErrorView {
    fn from(error: TaskError) -> Self {
        let TaskError { kind, message } = shown(error);
        Self { kind, message }
    }
}

/// Returns the event as shown to the owner of its task: the text of an internal error is replaced.
pub(crate) fn event_view(mut event: TaskEvent) -> TaskEvent {
    if let EventKind::Status { error, .. } = &mut event.kind {
        *error = error.take().map(shown);
    }
    event
}

/// Hides the text of an internal error, which may contain paths or statements; it is written to the log only.
fn shown(error: TaskError) -> TaskError {
    match error.kind {
        ErrorKind::Internal => TaskError { message: "the agent failed; the log has more".into(), ..error },
        _ => error,
    }
}

/// Query parameters of a list of tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListTasks {
    /// Maximum number of tasks on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: u32,
    /// `next_cursor` of the previous page.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Return only tasks with this status.
    #[param(nullable = false, value_type = Option<StatusWord>)]
    status: Option<TaskStatus>,
    /// Return only tasks of this agent.
    #[param(nullable = false)]
    agent: Option<String>,
    /// Return only tasks that were created at this time or later.
    #[serde(default, deserialize_with = "time")]
    #[param(nullable = false)]
    created_after: Option<DateTime<Utc>>,
    /// Return only tasks that were created before this time.
    #[serde(default, deserialize_with = "time")]
    #[param(nullable = false)]
    created_before: Option<DateTime<Utc>>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListTasks {
    /// Converts the parameters into a query for tasks.
    ///
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

/// One page of tasks, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskList {
    items: Vec<TaskView>,
    /// Cursor of the next page; null on the last page.
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
