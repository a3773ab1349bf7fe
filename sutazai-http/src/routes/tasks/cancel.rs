//! `POST /api/v1/tasks/{id}/cancel`: requests the cancellation of a task.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

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
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().cancel(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}
