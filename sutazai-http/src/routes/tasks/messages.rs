//! `GET /api/v1/tasks/{id}/messages`: lists the messages that agents exchanged about a task.

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
/// Contains messages between the task's agent and the agents of its children or of the task that waits for it: `TASK`
/// hands a task over, `RESULT` or `ERROR` reports its outcome, and `HEARTBEAT` reports that it is still running.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{id}/messages",
    operation_id = "list_agent_messages",
    tag = "tasks",
    params(("id" = Uuid, Path), ListAgentMessages),
    responses(
        (status = 200, description = "One page of messages, oldest first.", body = AgentMessageList),
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
