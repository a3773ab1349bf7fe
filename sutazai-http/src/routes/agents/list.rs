//! `GET /api/v1/agents`: the agents of this server, with the schema of what they take.

use axum::extract::State;
use serde_json::json;

use crate::app::App;
use crate::envelope::Reply;

/// 200 with all of them, by name.
pub(crate) async fn handle(State(app): State<App>) -> Reply {
    Reply::ok(&json!({ "items": app.engine().agents() }))
}
