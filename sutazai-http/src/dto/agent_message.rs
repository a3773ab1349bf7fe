//! Messages that agents exchange about a task and its children.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentMessage, AgentMessageContent, AgentMessageId, AgentMessagePage, AgentMessageType, TaskId,
};
use utoipa::{IntoParams, ToSchema};

use crate::dto::cursor::{DEFAULT_LIMIT, read_number, write_number};
use crate::dto::task::TaskErrorView;
use crate::openapi::vocabulary::AgentMessageTypeWord;

/// Message from one agent to another.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentMessage)]
pub(crate) struct AgentMessageView {
    #[schema(value_type = Uuid)]
    id: AgentMessageId,
    /// Agent that sends the message.
    source: String,
    /// Agent that receives the message.
    target: String,
    /// Task that waits for its children.
    #[schema(value_type = Uuid)]
    task_id: TaskId,
    /// Child task that the message is about; it joins a `TASK` message with its `RESULT` or `ERROR`.
    #[schema(value_type = Uuid)]
    correlation_id: TaskId,
    /// Kind of the message.
    #[serde(rename = "type")]
    #[schema(value_type = AgentMessageTypeWord)]
    kind: AgentMessageType,
    /// Depends on `type`. `TASK`: the payload of the child task; `RESULT`: its result; `ERROR`: the `kind` and the
    /// `message` of its error; `HEARTBEAT`: the number of the running `attempt` and its `lease_until`.
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

/// Query parameters of a list of messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAgentMessages {
    /// Maximum number of messages on a page.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: u32,
    /// `next_cursor` of the previous page.
    #[param(nullable = false, pattern = "^[0-9a-f]{16}$")]
    cursor: Option<String>,
}

fn default_limit() -> u32 {
    DEFAULT_LIMIT
}

impl ListAgentMessages {
    /// Returns the number of the message after which the page starts.
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
    /// Cursor of the next page; null on the last page.
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
