//! Tasks, their errors and their events.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sutazai_bodies::error::ErrorBody;
use sutazai_bodies::page::PageView;
use sutazai_bodies::time::time;
use sutazai_bodies::vocabulary::{KindWord, PriorityLevelWord, StatusWord};
use sutazai_core::domain::{
    Caller, EventKind, FindingCounts, PageRequest, PriorityLevel, Task, TaskError, TaskEvent, TaskId,
    TaskQuery, TaskSearch, TaskStatistics, TaskStatus, TaskSummary, UserId,
};
use sutazai_core::{Error, ErrorKind};
use utoipa::{IntoParams, ToSchema};

use crate::dto::list::list;

/// Task as lists show it to its owner: without payload and result, without the lease and the worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskSummary)]
pub(crate) struct TaskSummaryView {
    #[schema(value_type = Uuid)]
    id: TaskId,
    /// Owner; null when the server runs without users.
    #[schema(value_type = Option<Uuid>)]
    owner: Option<UserId>,
    /// Username of the owner, in lists of tasks and for a single task; null for callers who are no admins, and in the
    /// responses to changes.
    owner_name: Option<String>,
    agent: String,
    title: String,
    description: String,
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
    /// Urgency that a completed analysis found; null for all other tasks.
    #[schema(value_type = Option<PriorityLevelWord>)]
    priority_level: Option<PriorityLevel>,
    /// Numbers of the findings of a completed analysis; null for all other tasks.
    findings: Option<FindingNumbers>,
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

impl From<TaskSummary> for TaskSummaryView {
    fn from(TaskSummary { task, priority_level, findings }: TaskSummary) -> Self {
        Self {
            id: task.id,
            owner: task.owner,
            owner_name: None,
            agent: task.agent,
            title: task.title,
            description: task.description,
            priority: task.priority,
            timeout_seconds: task.timeout_seconds,
            max_attempts: task.max_attempts,
            run_at: task.run_at,
            idempotency_key: task.idempotency_key,
            unique_key: task.unique_key,
            status: task.status,
            attempt: task.attempt,
            failures: task.failures,
            priority_level,
            findings: findings.map(FindingNumbers::from),
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

impl TaskSummaryView {
    /// Creates the view of a task with the name of its owner, if that is known.
    pub(crate) fn named(summary: TaskSummary, names: &HashMap<UserId, String>) -> Self {
        let owner_name = summary.task.owner.and_then(|owner| names.get(&owner)).cloned();
        Self { owner_name, ..summary.into() }
    }
}

/// Numbers of the findings of an analysis by severity.
#[derive(Debug, Serialize, ToSchema)]
struct FindingNumbers {
    critical: u32,
    warning: u32,
    info: u32,
}

impl From<FindingCounts> for FindingNumbers {
    fn from(counts: FindingCounts) -> Self {
        Self { critical: counts.critical, warning: counts.warning, info: counts.info }
    }
}

/// Task as shown to its owner, without the lease and the worker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    #[serde(flatten)]
    summary: TaskSummaryView,
    /// Input of the agent.
    payload: Value,
    /// Output of the agent, once the task has completed.
    result: Option<Value>,
}

impl From<Task> for TaskView {
    fn from(mut task: Task) -> Self {
        let (payload, result) = (task.payload.take(), task.result.take());
        let priority_level = result.as_ref().and_then(TaskSummary::level_of);
        let findings = result.as_ref().and_then(FindingCounts::in_result);
        Self { summary: TaskSummary { task, priority_level, findings }.into(), payload, result }
    }
}

/// Task with its place in the queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskDetails)]
pub(crate) struct TaskDetailsView {
    #[serde(flatten)]
    task: TaskView,
    /// Number of due tasks of the same owner that run before this one, at most 1000; tasks of other users run in
    /// between. Null unless the task is pending and due, and waits for no other task.
    #[schema(maximum = 1000)]
    tasks_ahead: Option<u32>,
}

impl TaskDetailsView {
    pub(crate) fn new(task: Task, owner_name: Option<String>, tasks_ahead: Option<u32>) -> Self {
        let mut task = TaskView::from(task);
        task.summary.owner_name = owner_name;
        Self { task, tasks_ahead }
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

/// Query parameters that filter a list of tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TaskFilter {
    /// Return only tasks with one of these statuses, separated by commas.
    #[serde(default, deserialize_with = "list")]
    #[param(style = Form, explode = false, nullable = false, min_items = 1, value_type = Option<Vec<StatusWord>>)]
    status: Vec<TaskStatus>,
    /// Return only tasks whose title contains this text, regardless of the case of ASCII letters, or whose id begins with
    /// it: with at least 8 of its digits.
    #[param(nullable = false, max_length = 200)]
    q: Option<String>,
    /// Return only tasks of this user; for admins, who see those of all.
    #[param(nullable = false, value_type = Option<Uuid>)]
    owner: Option<UserId>,
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

impl TaskFilter {
    /// Converts the parameters into a query for one page of tasks.
    ///
    /// # Errors
    /// `Forbidden` naming `owner` for another user's tasks, unless the caller is an admin; `InvalidInput` naming `q`.
    pub(crate) fn query(self, caller: &Caller, page: PageRequest<TaskId>) -> Result<TaskQuery, Error> {
        let search = self.q.map(|text| TaskSearch::new(&text)).transpose();
        Ok(TaskQuery {
            owner: owner(self.owner, caller)?,
            statuses: self.status,
            search: search.map_err(|e| e.with_field("q"))?,
            agent: self.agent,
            created_after: self.created_after,
            created_before: self.created_before,
            page,
            ..TaskQuery::default()
        })
    }
}

/// Returns the owner that a caller asks for.
///
/// # Errors
/// `Forbidden` naming `owner` for another user, unless the caller is an admin.
fn owner(owner: Option<UserId>, caller: &Caller) -> Result<Option<UserId>, Error> {
    if owner.is_none() || caller.may_touch(owner) {
        return Ok(owner);
    }
    let why = "only an admin may list the tasks of another user";
    Err(Error::new(ErrorKind::Forbidden, why).with_field("owner"))
}

/// Query parameter that selects the counted tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CountedTasks {
    /// Count only tasks of this user; for admins, who see those of all.
    #[param(nullable = false, value_type = Option<Uuid>)]
    owner: Option<UserId>,
}

impl CountedTasks {
    /// Returns the owner of the tasks to count.
    ///
    /// # Errors
    /// `Forbidden` naming `owner` for another user, unless the caller is an admin.
    pub(crate) fn owner(self, caller: &Caller) -> Result<Option<UserId>, Error> {
        owner(self.owner, caller)
    }
}

/// One page of tasks, newest first.
pub(crate) type TaskList = PageView<TaskSummaryView>;

/// Numbers of tasks by agent and status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskNumbers {
    total: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_status: BTreeMap<TaskStatus, u64>,
    /// Numbers by agent, then by status.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    by_agent: BTreeMap<String, BTreeMap<TaskStatus, u64>>,
}

impl From<TaskStatistics> for TaskNumbers {
    fn from(tasks: TaskStatistics) -> Self {
        let mut by_status: BTreeMap<TaskStatus, u64> =
            TaskStatus::ALL.into_iter().map(|status| (status, 0)).collect();
        let mut by_agent: BTreeMap<String, BTreeMap<TaskStatus, u64>> = BTreeMap::new();
        for one in tasks.counts {
            *by_status.entry(one.status).or_default() += one.count;
            *by_agent.entry(one.agent).or_default().entry(one.status).or_default() += one.count;
        }
        Self { total: by_status.values().sum(), by_status, by_agent }
    }
}

/// Change of many tasks.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskAction {
    Cancel,
    Retry,
    Delete,
}

/// Request to change many tasks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskBatch {
    pub(crate) action: TaskAction,
    /// Ids of the tasks, each once.
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 100)]
    pub(crate) ids: Vec<TaskId>,
}

/// Maximum number of tasks that one request changes: a page of the list.
const MAX_BATCHED_TASKS: usize = 100;

impl TaskBatch {
    /// Checks the number of ids.
    ///
    /// # Errors
    /// `InvalidInput` naming `ids`.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let count = self.ids.len();
        if !(1..=MAX_BATCHED_TASKS).contains(&count) {
            let why = format!("expected 1 to {MAX_BATCHED_TASKS} ids, got {count}");
            return Err(Error::invalid("ids", why));
        }
        let mut seen = HashSet::new();
        match self.ids.iter().find(|id| !seen.insert(**id)) {
            Some(id) => Err(Error::invalid("ids", format!("expected each id once, got {id} twice"))),
            None => Ok(()),
        }
    }
}

/// Result of a change of many tasks, in the order of the ids.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskBatchResults {
    pub(crate) results: Vec<TaskBatchResult>,
}

/// Result of the change of one of many tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskBatchResult {
    #[schema(value_type = Uuid)]
    pub(crate) id: TaskId,
    /// The task after the change; null if it was deleted, or if the change failed.
    pub(crate) task: Option<TaskSummaryView>,
    /// Reason why the change failed; null if it succeeded.
    pub(crate) error: Option<ErrorBody>,
}
