//! `DELETE /api/v1/tasks/{id}`: removes an ended task and its events.

use axum::Extension;
use axum::extract::State;
use serde_json::json;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::IdPath;

/// 200 with the id of what is gone; 409 when it has not ended.
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
) -> Result<Reply, ApiError> {
    app.engine().delete(&caller, id).await?;
    Ok(Reply::ok(&json!({ "id": id })))
}
