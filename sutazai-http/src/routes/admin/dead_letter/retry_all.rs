//! `POST /api/v1/admin/dead-letter/retry`: puts all failed tasks back into the queue.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::admin::{RetriedTasks, RetryAll};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::OptionalJson;

/// Try all failed tasks again.
///
/// All, or those of the agent that the body names. When it ends early another call goes on with the rest.
#[utoipa::path(
    post,
    path = "/api/v1/admin/dead-letter/retry",
    operation_id = "retry_all_dead_letter",
    tag = "admin",
    request_body = Option<RetryAll>,
    responses(
        (status = 200, description = "How many are in the queue again.", body = RetriedTasks),
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
