//! `GET /api/v1/tasks`: lists the caller's tasks, newest first.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::task::{ListTasks, TaskList};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Query;

/// List the caller's tasks.
///
/// Paging is stable: no task is skipped or returned twice while new tasks are added.
#[utoipa::path(
    get,
    path = "/api/v1/tasks",
    operation_id = "list_tasks",
    tag = "tasks",
    params(ListTasks),
    responses(
        (status = 200, description = "One page of tasks, newest first.", body = TaskList),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(list): Query<ListTasks>,
) -> Result<Reply, ApiError> {
    let page = app.engine().tasks(&caller, list.query()?).await?;
    Ok(Reply::ok(&TaskList::from(page)))
}
