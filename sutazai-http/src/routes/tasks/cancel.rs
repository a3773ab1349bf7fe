//! `POST /api/v1/tasks/{id}/cancel`: asks for a task to stop.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Ask for a task to stop.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/{id}/cancel",
    operation_id = "cancel_task",
    tag = "tasks",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The task: ended, or running with `cancel_requested` until its agent heeds it.", body = TaskView),
        (status = 409, description = "It has ended."),
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
