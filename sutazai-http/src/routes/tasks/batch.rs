//! `POST /api/v1/tasks/batch`: cancels, retries or deletes many tasks.

use axum::Extension;
use axum::extract::State;
use futures::future::join_all;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, TaskId, TaskSummary};

use crate::app::App;
use crate::dto::task::{TaskAction, TaskBatch, TaskBatchResult, TaskBatchResults, TaskSummaryView};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::Json;

/// Change many tasks.
///
/// Cancels, retries or deletes each of these tasks as the routes for one task do. Each succeeds or fails on its own, and
/// the response says which.
#[utoipa::path(
    post,
    path = "/api/v1/tasks/batch",
    operation_id = "change_tasks",
    tag = "tasks",
    request_body = TaskBatch,
    responses(
        (status = 200, description = "What became of each task, in the order of the ids.", body = TaskBatchResults),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Json(batch): Json<TaskBatch>,
) -> Result<Reply, ApiError> {
    batch.check()?;
    // Concurrently, so that a store can group them into one transaction.
    let changes = batch.ids.iter().map(|id| change(&app, &caller, batch.action, *id));
    let results = batch.ids.iter().zip(join_all(changes).await).map(|(id, changed)| {
        let (task, error) = match changed {
            Ok(task) => (task, None),
            Err(e) => (None, Some(ApiError::from(e).body())),
        };
        TaskBatchResult { id: *id, task, error }
    });
    Ok(Reply::ok(&TaskBatchResults { results: results.collect() }))
}

async fn change(
    app: &App,
    caller: &Caller,
    action: TaskAction,
    id: TaskId,
) -> Result<Option<TaskSummaryView>, Error> {
    let engine = app.engine();
    let task = match action {
        TaskAction::Cancel => engine.cancel(caller, id).await?,
        TaskAction::Retry => engine.retry(caller, id).await?,
        TaskAction::Delete => return engine.delete(caller, id).await.map(|()| None),
    };
    Ok(Some(TaskSummary::from(task).into()))
}
