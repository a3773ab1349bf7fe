//! `GET /health`: the process answers. For load balancers; needs no authentication.

use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::envelope::Reply;

/// 200 as long as there is somebody to say so.
pub(crate) async fn handle(State(app): State<App>) -> Reply {
    let version = env!("CARGO_PKG_VERSION");
    Reply::ok(&json!({ "status": "healthy", "version": version, "uptime_seconds": app.uptime().as_secs() }))
}
