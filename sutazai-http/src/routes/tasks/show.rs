//! `GET /api/v1/tasks/{id}`: one task.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// Show a task.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}",
    operation_id = "show_task",
    tag = "tasks",
    params(("id" = Uuid, Path)),
    responses(
        (status = 200, description = "The task.", body = TaskView),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().task(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}
