//! `POST /api/v1/agents/hardware-optimizer/analyze`: the main job in one call, without knowing what a task looks like.

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

const AGENT: &str = "hardware-optimizer";

/// Analyse this machine.
///
/// The main job in one call. Without a body a model writes the recommendations. The result is the task's.
#[utoipa::path(
    post,
    path = "/api/v1/agents/hardware-optimizer/analyze",
    operation_id = "analyze",
    tag = "agents",
    request_body = Option<Analyze>,
    responses(
        (status = 202, description = "It will be done.", body = AnalysisTask),
        (status = 404, description = "This server has no such agent."),
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
    Ok(Reply::accepted(&AnalysisTask::from(task)))
}
