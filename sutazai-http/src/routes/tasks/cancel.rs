//! `POST /api/v1/tasks/{id}/cancel`: asks for a task to stop.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// 200 with the task: ended, or running with `cancel_requested` until its agent heeds it. 409 when it has ended.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    let task = app.engine().cancel(&caller, id).await?;
    Ok(Reply::ok(&TaskView::from(task)))
}
