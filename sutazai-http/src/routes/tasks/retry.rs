//! `POST /api/v1/tasks/{id}/retry`: puts a failed task back into the queue.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// 200 with the task, pending; 409 when it has not failed.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().retry(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}
