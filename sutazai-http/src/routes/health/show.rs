//! `GET /health`: confirms that the process is alive. For load balancers; requires no authentication.

use axum::extract::State;

use crate::app::App;
use crate::dto::health::Health;
use crate::envelope::Reply;

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
pub(crate) async fn handle(State(app): State<App>) -> Reply {
    Reply::ok(&Health {
        status: "healthy",
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime().as_secs(),
    })
}
