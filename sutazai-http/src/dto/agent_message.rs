//! Messages that agents exchange about a task and its children.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use sutazai_bodies::page::PageView;
use sutazai_bodies::vocabulary::AgentMessageTypeWord;
use sutazai_core::domain::{AgentMessage, AgentMessageContent, AgentMessageId, AgentMessageType, TaskId};
use utoipa::ToSchema;

use crate::dto::task::TaskErrorView;

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

/// One page of messages, oldest first.
pub(crate) type AgentMessageList = PageView<AgentMessageView>;
