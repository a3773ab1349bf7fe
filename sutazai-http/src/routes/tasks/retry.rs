//! `POST /api/v1/tasks/{id}/retry`: returns a failed task to the queue.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

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
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().retry(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}
