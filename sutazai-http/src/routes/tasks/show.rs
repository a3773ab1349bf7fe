//! `GET /api/v1/tasks/{id}`: returns one task.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::etag::unless_known;
use crate::extract::IdPath;

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
        (status = 200, description = "The task.", body = TaskView, headers(
            ("ETag" = String, description = "Weak tag that changes whenever the task changes."),
        )),
        (status = 304, description = "The task has not changed since that version."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let task = app.engine().task(&caller, id).await?;
    Ok(unless_known(Reply::ok(&TaskView::from(task)), &headers))
}
