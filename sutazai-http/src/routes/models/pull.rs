//! `POST /api/v1/models/pull`: submits a task that downloads a model.

use axum::Extension;
use axum::extract::State;
use serde_json::json;
use sutazai_bodies::model::PullModel;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, NewTask};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

/// Name of the agent that downloads models.
pub(super) const AGENT: &str = "model-puller";

/// Download a model.
///
/// Submits a task for the agent `model-puller`; its events report the progress.
#[utoipa::path(
    post,
    path = "/api/v1/models/pull",
    operation_id = "pull_model",
    tag = "models",
    request_body = PullModel,
    responses(
        (status = 202, description = "The task was accepted.", body = TaskView),
        (status = 404, description = "This server does not run the agent `model-puller`."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(body): Json<PullModel>,
) -> Result<Reply, ApiError> {
    if !app.engine().agents().iter().any(|agent| agent.name == AGENT) {
        return Err(Error::not_found(format!("agent {AGENT}")).into());
    }
    let new =
        NewTask { title: "Fetching a model".into(), ..NewTask::new(AGENT, json!({ "model": body.model })) };
    let task = app.engine().submit_as(&caller, new).await?;
    Ok(Reply::accepted(&TaskView::from(task)))
}
