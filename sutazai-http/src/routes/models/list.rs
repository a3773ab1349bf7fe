//! `GET /api/v1/models`: lists the models of all backends.

use axum::Extension;
use axum::extract::State;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, PageLimit, Task, TaskQuery, TaskStatus};

use crate::app::App;
use crate::dto::model::ModelList;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::routes::models::pull::AGENT;

/// List the models.
///
/// Says which model answers by default, which may write into an analysis, how many requests wait, and which models are
/// being downloaded.
#[utoipa::path(
    get,
    path = "/api/v1/models",
    operation_id = "list_models",
    tag = "models",
    responses(
        (status = 200, description = "The available models.", body = ModelList),
        (status = 503, description = "No model backend is configured, or none can be reached."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Reply, ApiError> {
    let model = app.model_for(&caller)?;
    let models = model.models().await?;
    let permissions = model.permissions_of(&models).await?;
    // No model answers by default if the backends have none.
    let default = model.permissions(None).await.ok();
    let load = app.engine().model_load().ok_or_else(|| Error::internal("the load of a model is unknown"))?;
    let models = models.into_iter().zip(permissions).collect();
    Ok(Reply::ok(&ModelList::new(models, default.as_ref(), load, fetching(&app).await?)))
}

/// Returns the names of the models that tasks of any user download, or will download.
async fn fetching(app: &App) -> Result<Vec<String>, Error> {
    let query = TaskQuery {
        agent: Some(AGENT.to_owned()),
        statuses: vec![TaskStatus::Pending, TaskStatus::Processing],
        page: PageLimit::MAX.into(),
        ..TaskQuery::default()
    };
    let tasks = app.engine().tasks(&Caller::System, query).await?;
    let name = |task: &Task| Some(task.payload.get("model")?.as_str()?.to_owned());
    let mut names: Vec<String> = tasks.items.iter().filter_map(name).collect();
    names.sort();
    names.dedup();
    Ok(names)
}
