//! `POST /api/v1/admin/dead-letter/retry`: puts all failed tasks back into the queue.

use axum::Extension;
use axum::extract::State;
use serde_json::json;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::dto::admin::RetryAll;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::OptionalJson;

/// 200 with the number of tasks, all or those of the agent that the body names. When it ends early another call goes on
/// with the rest.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    OptionalJson(body): OptionalJson<RetryAll>,
) -> Result<Reply, ApiError> {
    let retried = app.engine().retry_failed(&caller, body.agent).await?;
    Ok(Reply::ok(&json!({ "retried": retried })))
}
