//! `GET /api/v1/agents`: the agents of this server, with the schema of what they take.

use axum::extract::State;

use crate::app::App;
use crate::dto::agent::AgentList;
use crate::envelope::Reply;

/// List the agents.
///
/// With the schema of what each takes.
#[utoipa::path(
    get,
    path = "/api/v1/agents",
    operation_id = "list_agents",
    tag = "agents",
    responses(
        (status = 200, description = "All of them, by name.", body = AgentList),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Reply {
    let engine = app.engine();
    Reply::ok(&AgentList::new(engine.agents(), engine.agent_statuses().await))
}
