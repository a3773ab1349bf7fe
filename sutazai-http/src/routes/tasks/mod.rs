//! `/api/v1/tasks`: tasks and their agent messages.

pub(crate) mod batch;
pub(crate) mod create;
pub(crate) mod events;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, TaskId, TaskQuery};

use crate::app::App;
use crate::dto::agent_message::AgentMessageList;
use crate::dto::deleted::Deleted;
use crate::dto::task::{
    CountedTasks, TaskDetailsView, TaskFilter, TaskList, TaskNumbers, TaskSummaryView, TaskView,
};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::etag::unless_known;
use crate::extract::{IdPath, PageQuery, Query};

/// List the caller's tasks.
///
/// Paging is stable: no task is skipped or returned twice while new tasks are added. The items have neither payload nor
/// result, which may be large.
#[utoipa::path(
    get,
    path = "/api/v1/tasks",
    operation_id = "list_tasks",
    tag = "tasks",
    params(PageQuery::<TaskId>, TaskFilter),
    responses(
        (status = 200, description = "One page of tasks, newest first.", body = TaskList),
        (status = 403, description = "Only admins may list the tasks of another user."),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PageQuery(page): PageQuery<TaskId>,
    Query(filter): Query<TaskFilter>,
) -> Result<Reply, ApiError> {
    let query = filter.query(&caller, page)?;
    Ok(Reply::ok(&page_of(&app, &caller, query).await?))
}

/// Reads a page of tasks, with the names of their owners for admins.
pub(in crate::routes) async fn page_of(
    app: &App,
    caller: &Caller,
    query: TaskQuery,
) -> Result<TaskList, Error> {
    let page = app.engine().task_summaries(caller, query).await?;
    let names = app.owner_names(caller, page.items.iter().map(|summary| summary.task.owner)).await?;
    Ok(page.map(|summary| TaskSummaryView::named(summary, &names)).into())
}

/// Count the caller's tasks.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/statistics",
    operation_id = "count_tasks",
    tag = "tasks",
    params(CountedTasks),
    responses(
        (status = 200, description = "Numbers of tasks by agent and status.", body = TaskNumbers),
        (status = 403, description = "Only admins may count the tasks of another user."),
    ),
)]
pub(crate) async fn statistics(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(counted): Query<CountedTasks>,
) -> Result<Reply, ApiError> {
    let owner = counted.owner(&caller)?;
    let statistics = app.engine().statistics(&caller, owner).await?;
    Ok(Reply::ok(&TaskNumbers::from(statistics)))
}

/// Show a task.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}",
    operation_id = "show_task",
    tag = "tasks",
    params(
        ("id" = Uuid, Path),
        ("If-None-Match" = Option<String>, Header, nullable = false, description = "`ETag` of the version that the client has."),
    ),
    responses(
        (status = 200, description = "The task.", body = TaskDetailsView, headers(
            ("ETag" = String, description = "Weak tag that changes whenever the task or its place in the queue changes."),
        )),
        (status = 304, description = "The task has not changed since that version."),
    ),
)]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let task = app.engine().task(&caller, id).await?;
    let ahead = app.engine().tasks_ahead(&task).await?;
    let mut names = app.owner_names(&caller, [task.owner]).await?;
    let name = task.owner.and_then(|owner| names.remove(&owner));
    Ok(unless_known(Reply::ok(&TaskDetailsView::new(task, name, ahead)), &headers))
}

/// List the messages between agents about a task.
///
/// Contains messages between the task's agent and the agents of its children or of the task that waits for it: `TASK`
/// hands a task over, `RESULT` or `ERROR` reports its outcome, and `HEARTBEAT` reports that it is still running.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/messages",
    operation_id = "list_agent_messages",
    tag = "tasks",
    params(("id" = Uuid, Path), PageQuery::<u64>),
    responses(
        (status = 200, description = "One page of messages, oldest first.", body = AgentMessageList),
    ),
)]
pub(crate) async fn messages(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    PageQuery(page): PageQuery<u64>,
) -> Result<Reply, ApiError> {
    let page = app.engine().agent_messages(&caller, id, page).await?;
    Ok(Reply::ok(&AgentMessageList::from(page)))
}

/// Cancel a task.
///
/// A pending task is cancelled at once. A processing task is stopped by its worker, at the latest with its next
/// heartbeat.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/cancel",
    operation_id = "cancel_task",
    tag = "tasks",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The task: cancelled, or still processing with `cancel_requested`.", body = TaskView),
        (status = 409, description = "The task has ended already."),
    ),
)]
pub(crate) async fn cancel(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().cancel(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}

/// Retry a failed task.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/retry",
    operation_id = "retry_task",
    tag = "tasks",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The task, pending again.", body = TaskView),
        (status = 409, description = "The task has not failed, or another pending or processing task has its `unique_key`."),
    ),
)]
pub(crate) async fn retry(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().retry(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}

/// Delete an ended task and its events.
#[utoipa::path(
    delete,
    path = "/api/v1/tasks/{id}",
    operation_id = "delete_task",
    tag = "tasks",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The task was deleted.", body = Deleted),
        (status = 409, description = "The task has not ended."),
    ),
)]
pub(crate) async fn delete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    app.engine().delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
