//! `GET /health/ready`: checks whether the server can serve requests. For load balancers; requires no authentication.

use axum::extract::State;

use crate::app::App;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::readiness::{HealthStatus, ReadinessReport};

/// Check readiness.
///
/// Checks each dependency of the server within a time limit of 2 to 4 seconds. Intended for load balancers and
/// operators.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "show_readiness",
    tag = "health",
    responses(
        (status = 200, description = "The server can serve requests, possibly in degraded mode.", body = ReadinessReport),
        (status = 503, description = "The server cannot serve requests; `details` contains the checks."),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    let report = app.readiness().await;
    match report.status {
        HealthStatus::Healthy | HealthStatus::Degraded => Ok(Reply::ok(&report)),
        HealthStatus::Unhealthy => Err(ApiError::unready(report)),
    }
}
