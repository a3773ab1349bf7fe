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

/// Name of the agent that analyzes the machine.
pub(crate) const AGENT: &str = "hardware-optimizer";

/// Deduplication key of the analyses of a user: a second one of the same moment would measure the same machine, and keep
/// the model from others.
const UNIQUE_KEY: &str = "analysis of this machine";

/// Analyze this machine.
///
/// Submits a task for the agent `hardware-optimizer`. By default a model words the recommendations; with `use_model`
/// false, the rules do. When the task has completed, its `result` holds the analysis. While an analysis of the same user
/// is pending or processing, that one is returned, whatever `use_model` says.
#[utoipa::path(
    post,
    path = "/api/v1/agents/hardware-optimizer/analyze",
    operation_id = "analyze",
    tag = "agents",
    request_body = Option<Analyze>,
    responses(
        (status = 202, description = "The task was accepted, or one that was accepted before has not ended.", body = AnalysisTask),
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
        unique_key: Some(UNIQUE_KEY.into()),
        ..NewTask::new(AGENT, json!({ "use_model": body.use_model }))
    };
    let task = app.engine().submit_as(&caller, new).await?;
    counts::requested(&task.agent);
    Ok(Reply::accepted(&AnalysisTask::from(task)))
}
