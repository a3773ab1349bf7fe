//! `GET /api/v1/system/metrics`: the machine as it is now.

use axum::extract::State;

use crate::app::App;
use crate::envelope::Reply;
use crate::error::ApiError;

/// 200 with a snapshot that is at most about a second old.
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    Ok(Reply::json(app.snapshot().await?))
}
