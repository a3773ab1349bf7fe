//! `POST /api/v1/admin/dead-letter/retry`: returns all failed tasks to the queue.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::admin::{RetriedTasks, RetryAll};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::OptionalJson;

/// Retry all failed tasks.
///
/// Retries the failed tasks of all agents, or of the agent in the body. If the call is interrupted, repeat it to
/// retry the remaining tasks.
#[utoipa::path(
    post,
    path = "/api/v1/admin/dead-letter/retry",
    operation_id = "retry_all_dead_letter",
    tag = "admin",
    request_body = Option<RetryAll>,
    responses(
        (status = 200, description = "Number of tasks that are pending again.", body = RetriedTasks),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    OptionalJson(body): OptionalJson<RetryAll>,
) -> Result<Reply, ApiError> {
    let retried = app.engine().retry_failed(&caller, body.agent).await?;
    Ok(Reply::ok(&RetriedTasks { retried }))
}
