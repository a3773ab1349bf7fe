//! Messages between agents.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentMessage, AgentMessageContent, AgentMessageId, AgentMessagePage, Heartbeat, TaskId,
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::dto::cursor::{DEFAULT_LIMIT, invalid_cursor, read_cursor, write_cursor};
use crate::dto::task::TaskErrorView;

/// A message from one agent to another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentMessage)]
pub(crate) struct AgentMessageView {
    #[schema(value_type = Uuid)]
    id: AgentMessageId,
    /// The agent that says it.
    source: String,
    /// The agent that it is for.
    target: String,
    /// The task that waits.
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    /// The task that was handed over: the same in what asks for it and in what answers.
    #[schema(value_type = Uuid)]
    correlation_id: TaskId,
    #[serde(flatten)]
    content: ContentView,
    timestamp: DateTime<Utc>,
}

/// What is said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentMessageContent)]
#[serde(tag = "type", content = "payload", rename_all = "SCREAMING_SNAKE_CASE")]
enum ContentView {
    /// Do this: the payload of the task that is handed over.
    Task(Value),
    /// It is done: the result.
    Result(Value),
    /// It will not be done: why not.
    Error(TaskErrorView),
    /// It is being worked on; only the latest is kept.
    Heartbeat(HeartbeatView),
}

/// An attempt goes on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Heartbeat)]
struct HeartbeatView {
    /// Which attempt.
    attempt: u32,
    /// Until when it is held if nothing more is heard of it.
    lease_until: DateTime<Utc>,
}

impl From<AgentMessage> for AgentMessageView {
    fn from(message: AgentMessage) -> Self {
        let content = match message.content {
            AgentMessageContent::Task(payload) => ContentView::Task(payload),
            AgentMessageContent::Result(result) => ContentView::Result(result),
            AgentMessageContent::Error(error) => ContentView::Error(error.into()),
            AgentMessageContent::Heartbeat(Heartbeat { attempt, lease_until }) => {
                ContentView::Heartbeat(HeartbeatView { attempt, lease_until })
            }
        };
        Self {
            id: message.id,
            source: message.source,
            target: message.target,
            task_id: message.task_id,
            correlation_id: message.correlation_id,
            content,
            timestamp: message.timestamp,
        }
    }
}

/// The parameters of a listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAgentMessages {
    /// Messages on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
    /// The `next_cursor` of the page before.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListAgentMessages {
    /// After which message.
    ///
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn after(&self) -> Result<Option<u64>> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let number = u64::try_from(read_cursor(cursor)?.as_u128()).map_err(|_| invalid_cursor())?;
        Ok(Some(number))
    }
}

/// One page of messages, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentMessageList {
    items: Vec<AgentMessageView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<AgentMessagePage> for AgentMessageList {
    fn from(page: AgentMessagePage) -> Self {
        Self {
            items: page.items.into_iter().map(AgentMessageView::from).collect(),
            next_cursor: page.next.map(|number| write_cursor(Uuid::from_u128(number.into()))),
        }
    }
}
