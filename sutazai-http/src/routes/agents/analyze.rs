//! `POST /api/v1/agents/hardware-optimizer/analyze`: the main job in one call, without knowing what a task looks like.

use axum::Extension;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, NewTask};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::OptionalJson;
use crate::monitoring::counts;

const AGENT: &str = "hardware-optimizer";

/// The body; it may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Analyze {
    /// Whether a model writes the recommendations; without, the rules do.
    use_model: bool,
}

impl Default for Analyze {
    fn default() -> Self {
        Self { use_model: true }
    }
}

/// 202 with the id of the task; 404 when this server has no such agent.
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
    Ok(Reply::accepted(&json!({ "task_id": task.id, "task": TaskView::from(task) })))
}
