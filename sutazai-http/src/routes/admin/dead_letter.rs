//! `/api/v1/admin/dead-letter`: failed tasks of all users.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId, TaskQuery, TaskStatus};

use crate::app::App;
use crate::dto::admin::{DeadLetterFilter, RetriedTasks, RetryAll};
use crate::dto::task::{TaskList, TaskView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, OptionalJson, PageQuery, Query};
use crate::routes::tasks::page_of;

/// List failed tasks.
///
/// Returns the failed tasks of all users, optionally those of one agent.
#[utoipa::path(
    get,
    path = "/api/v1/admin/dead-letter",
    operation_id = "list_dead_letter",
    tag = "admin",
    params(PageQuery::<TaskId>, DeadLetterFilter),
    responses(
        (status = 200, description = "One page of tasks, newest first.", body = TaskList),
    ),
)]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    PageQuery(page): PageQuery<TaskId>,
    Query(filter): Query<DeadLetterFilter>,
) -> Result<Reply, ApiError> {
    let query =
        TaskQuery { statuses: vec![TaskStatus::Failed], agent: filter.agent, page, ..TaskQuery::default() };
    Ok(Reply::ok(&page_of(&app, &caller, query).await?))
}

/// Retry all failed tasks.
///
/// Retries the failed tasks of all agents, or of the agent in the body. If the call is interrupted, repeat it to
/// retry the remaining tasks.
#[utoipa::path(
    post,
    path = "/api/v1/admin/dead-letter/retry",
    operation_id = "retry_all_dead_letter",
    tag = "admin",
    request_body = Option<RetryAll>,
    responses(
        (status = 200, description = "Number of tasks that are pending again.", body = RetriedTasks),
    ),
)]
pub(crate) async fn retry_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    OptionalJson(body): OptionalJson<RetryAll>,
) -> Result<Reply, ApiError> {
    let retried = app.engine().retry_failed(&caller, body.agent).await?;
    Ok(Reply::ok(&RetriedTasks { retried }))
}

/// Retry a failed task.
#[utoipa::path(
    post,
    path = "/api/v1/admin/dead-letter/{id}/retry",
    operation_id = "retry_dead_letter",
    tag = "admin",
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
