//! `GET /api/v1/admin/dead-letter`: lists failed tasks of all users, newest first.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::admin::ListDeadLetter;
use crate::dto::task::TaskList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Query;

/// List failed tasks.
///
/// Returns the failed tasks of all users, optionally those of one agent.
#[utoipa::path(
    get,
    path = "/api/v1/admin/dead-letter",
    operation_id = "list_dead_letter",
    tag = "admin",
    params(ListDeadLetter),
    responses(
        (status = 200, description = "One page of tasks, newest first.", body = TaskList),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Query(list): Query<ListDeadLetter>,
) -> Result<Reply, ApiError> {
    let page = app.engine().tasks(&caller, list.query()?).await?;
    Ok(Reply::ok(&TaskList::from(page)))
}
