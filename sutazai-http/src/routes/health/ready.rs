//! `GET /health/ready`: whether the server can do its work. For load balancers and operators; needs no authentication.

use axum::extract::State;

use crate::app::App;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::readiness::Health;

/// 200 with the checks when the server is healthy or degraded; 503 with the checks in `error.details` when it is not.
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    let report = app.readiness().await;
    match report.status {
        Health::Healthy | Health::Degraded => Ok(Reply::ok(&report)),
        Health::Unhealthy => Err(ApiError::unready(&report)),
    }
}
