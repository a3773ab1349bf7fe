//! `GET /api/v1/tasks/{id}/messages`: what agents have said to each other about a task.

use axum::Extension;
use axum::extract::State;
use sutazai_core::domain::{Caller, TaskId};

use crate::app::App;
use crate::dto::agent_message::{AgentMessageList, ListAgentMessages};
use crate::envelope::Reply;
use crate::error::ApiError;
use crate::extract::{IdPath, Query};

/// List the messages between agents about a task.
///
/// The task's agent and those of its children, or of the tasks that wait for it: `TASK` hands a task over, `RESULT` or
/// `ERROR` answers, `HEARTBEAT` tells that it is still worked on.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/messages",
    operation_id = "list_agent_messages",
    tag = "tasks",
    params(("id" = Uuid, Path), ListAgentMessages),
    responses(
        (status = 200, description = "One page, oldest first.", body = AgentMessageList),
    ),
)]
pub(crate) async fn handle(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    IdPath(id): IdPath<TaskId>,
    Query(list): Query<ListAgentMessages>,
) -> Result<Reply, ApiError> {
    let page = app.engine().agent_messages(&caller, id, list.after()?, list.limit).await?;
    Ok(Reply::ok(&AgentMessageList::from(page)))
}
