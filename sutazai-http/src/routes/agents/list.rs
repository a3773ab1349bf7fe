//! `GET /api/v1/agents`: lists the agents of this server with the JSON Schema of their payload.

use axum::extract::State;

use crate::app::App;
use crate::dto::agent::AgentList;
use crate::envelope::Reply;

/// List the agents.
///
/// Each agent includes the JSON Schema of its payload and whether a process works for it.
#[utoipa::path(
    get,
    path = "/api/v1/agents",
    operation_id = "list_agents",
    tag = "agents",
    responses(
        (status = 200, description = "All agents, sorted by name.", body = AgentList),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Reply {
    let engine = app.engine();
    Reply::ok(&AgentList::new(engine.agents(), engine.agent_statuses().await))
}
