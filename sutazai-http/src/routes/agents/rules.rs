//! `GET /api/v1/agents/hardware-optimizer/rules`: lists the rules by which the machine is judged.

use axum::extract::State;
use sutazai_core::Error;

use crate::app::App;
use crate::dto::rule::RuleList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::routes::agents::analyze::AGENT;

/// List the rules of the analysis.
///
/// Each rule has its meaning, its conditions in words, and the bounds of the values that it judges. They are those of the
/// running server, so that a page shows the bounds that findings are based on.
#[utoipa::path(
    get,
    path = "/api/v1/agents/hardware-optimizer/rules",
    operation_id = "list_rules",
    tag = "agents",
    responses(
        (status = 200, description = "All rules, in the order in which findings of one severity are listed.", body = RuleList),
        (status = 404, description = "This server does not run the agent `hardware-optimizer`."),
    ),
)]
pub(crate) async fn handle(State(app): State<App>) -> Result<Reply, ApiError> {
    let agent = app.engine().agents().into_iter().find(|agent| agent.name == AGENT);
    let agent = agent.ok_or_else(|| Error::not_found(format!("agent {AGENT}")))?;
    Ok(Reply::ok(&RuleList::new(agent.rules)))
}
