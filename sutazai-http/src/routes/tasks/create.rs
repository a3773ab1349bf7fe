//! `POST /api/v1/tasks`: submits a task.

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderMap;
use sutazai_bodies::task::CreateTask;
use sutazai_core::Error;
use sutazai_core::domain::{Caller, NewTask};

use crate::app::App;
use crate::dto::task::TaskView;
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IDEMPOTENCY_KEY, Json, idempotency_key};
use crate::monitoring::counts;

/// Submit a task.
///
/// The task is stored durably before the response is sent. Repeating the request with the same `Idempotency-Key`
/// returns the same task.
#[utoipa::path(
    post,
    path = "/api/v1/tasks",
    operation_id = "create_task",
    tag = "tasks",
    params(
        ("Idempotency-Key" = Option<String>, Header, nullable = false, max_length = 200, description = "A repeated request of the same user with the same key returns the same task."),
    ),
    request_body = CreateTask,
    responses(
        (status = 202, description = "The task was accepted.", body = TaskView),
        (status = 409, description = "The idempotency key belongs to a task with different contents."),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Json(body): Json<CreateTask>,
) -> Result<Reply, ApiError> {
    let mut new = NewTask::from(body);
    if let Some(key) = idempotency_key(&headers)?
        && new.idempotency_key.replace(key.clone()).is_some_and(|other| other != key)
    {
        return Err(Error::invalid(IDEMPOTENCY_KEY, "the body names another idempotency_key").into());
    }
    let task = app.engine().submit_as(&caller, new).await?;
    counts::requested(&task.agent);
    Ok(Reply::accepted(&TaskView::from(task)))
}
