//! Liveness and readiness of the server. For load balancers; requires no authentication.

use axum::extract::State;
use sutazai_bodies::readiness::{HealthStatus, ReadinessReport};

use crate::app::App;
use crate::dto::health::Health;
use crate::envelope::Reply;
use crate::error::ApiError;

/// Check liveness.
///
/// Responds as long as the process runs; checks no dependency. Intended for load balancers.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "show_health",
    tag = "health",
    responses(
        (status = 200, description = "The process is alive.", body = Health),
    ),
)]
pub(crate) async fn show(State(app): State<App>) -> Reply {
    Reply::ok(&Health {
        status: "healthy",
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime().as_secs(),
    })
}

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
pub(crate) async fn ready(State(app): State<App>) -> Result<Reply, ApiError> {
    let report = app.readiness().await;
    match report.status {
        HealthStatus::Healthy | HealthStatus::Degraded => Ok(Reply::ok(&report)),
        HealthStatus::Unhealthy => Err(ApiError::unready(report)),
    }
}
