//! `DELETE /api/v1/tasks/{id}`: deletes an ended task and its events.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::deleted::Deleted;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

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
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    app.engine().delete(&caller, id).await?;
    Ok(Reply::ok(&Deleted { id: id.0 }))
}
