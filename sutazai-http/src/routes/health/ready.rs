//! `GET /health/ready`: whether the server can do its work. For load balancers and operators; needs no authentication.

use axum::extract::State;

use crate::app::App;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::readiness::{HealthStatus, ReadinessReport};

/// Ask whether the server can do its work.
///
/// Tries what the server needs; what hangs counts as away after some seconds. For load balancers and operators.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "show_readiness",
    tag = "health",
    responses(
        (status = 200, description = "It can, though perhaps not as configured.", body = ReadinessReport),
        (status = 503, description = "It cannot; `details` has the checks."),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    let report = app.readiness().await;
    match report.status {
        HealthStatus::Healthy | HealthStatus::Degraded => Ok(Reply::ok(&report)),
        HealthStatus::Unhealthy => Err(ApiError::unready(report)),
    }
}
