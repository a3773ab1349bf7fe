//! `GET /api/v1/system/metrics`: returns a snapshot of the machine.

use axum::extract::State;

use crate::app::App;
use crate::dto::snapshot::SnapshotView;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Measure this machine.
#[utoipa::path(
    get,
    path = "/api/v1/system/metrics",
    operation_id = "show_metrics",
    tag = "system",
    responses(
        (status = 200, description = "A snapshot that is at most 1 second old.", body = SnapshotView),
    ),
)]
pub(crate) async fn metrics(State(app): State<App>) -> Result<Reply, ApiError> {
    Ok(Reply::json(app.snapshot().await?))
}
