//! `GET /api/v1/tasks/{id}`: one task.

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

/// 200 with the task, or 304 when nothing of it has changed; 404 also for the task of somebody else.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let task = app.engine().task(&caller, id).await?;
    Ok(unless_known(Reply::ok(&TaskView::from(task)), &headers))
}
