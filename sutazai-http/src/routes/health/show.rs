//! `GET /health`: the process answers. For load balancers; needs no authentication.

use axum::extract::State;

use crate::app::App;
use crate::dto::health::Health;
use crate::envelope::Reply;

/// Ask whether the server is alive.
///
/// For load balancers.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "show_health",
    tag = "health",
    responses(
        (status = 200, description = "It is.", body = Health),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Reply {
    Reply::ok(&Health {
        status: "healthy",
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: app.uptime().as_secs(),
    })
}
