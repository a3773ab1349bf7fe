//! Messages between agents.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentMessage, AgentMessageContent, AgentMessageId, AgentMessagePage, AgentMessageType, TaskId,
};
use utoipa::{IntoParams, ToSchema};

use crate::document::words::AgentMessageTypeWord;
use crate::dto::cursor::{DEFAULT_LIMIT, read_number, write_number};
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
    /// What it says.
    #[serde(rename = "type")]
    #[schema(value_type = AgentMessageTypeWord)]
    kind: AgentMessageType,
    /// `TASK`: the payload of the task that is handed over; `RESULT`: its result; `ERROR`: the `kind` of the error and a
    /// `message`; `HEARTBEAT`: which `attempt` goes on, and its `lease_until`.
    payload: Value,
    timestamp: DateTime<Utc>,
}

impl From<AgentMessage> for AgentMessageView {
    fn from(message: AgentMessage) -> Self {
        let kind = message.content.kind();
        let payload = match message.content {
            AgentMessageContent::Task(payload) | AgentMessageContent::Result(payload) => payload,
            AgentMessageContent::Error(error) => json!(TaskErrorView::from(error)),
            AgentMessageContent::Heartbeat(heartbeat) => json!(heartbeat),
        };
        Self {
            id: message.id,
            source: message.source,
            target: message.target,
            task_id: message.task_id,
            correlation_id: message.correlation_id,
            kind,
            payload,
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
    #[param(nullable = false, pattern = "^[0-9a-f]{16}$")]
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
        self.cursor.as_deref().map(read_number).transpose()
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
            next_cursor: page.next.map(write_number),
        }
    }
}
