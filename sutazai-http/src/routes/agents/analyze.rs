//! `POST /api/v1/agents/hardware-optimizer/analyze`: submits a hardware analysis without a task payload.

use axum::Extension;
use axum::extract::State;
use serde_json::json;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, NewTask};

use crate::app::App;
use crate::dto::agent::{AnalysisTask, Analyze};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::OptionalJson;
use crate::monitoring::counts;

const AGENT: &str = "hardware-optimizer";

/// Analyze this machine.
///
/// Submits a task for the agent `hardware-optimizer`. By default a model words the recommendations; with `use_model`
/// false, the rules do. When the task has completed, its `result` holds the analysis.
#[utoipa::path(
    post,
    path = "/api/v1/agents/hardware-optimizer/analyze",
    operation_id = "analyze",
    tag = "agents",
    request_body = Option<Analyze>,
    responses(
        (status = 202, description = "The task was accepted.", body = AnalysisTask),
        (status = 404, description = "This server does not run the agent `hardware-optimizer`."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    OptionalJson(body): OptionalJson<Analyze>,
) -> Result<Reply, ApiError> {
    if !app.engine().agents().iter().any(|agent| agent.name == AGENT) {
        return Err(Error::not_found(format!("agent {AGENT}")).into());
    }
    let new = NewTask {
        title: "Analysis of this machine".into(),
        ..NewTask::new(AGENT, json!({ "use_model": body.use_model }))
    };
    let task = app.engine().submit(&caller, new).await?;
    counts::requested(&task.agent);
    Ok(Reply::accepted(&AnalysisTask::from(task)))
}
