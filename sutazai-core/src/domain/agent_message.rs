//! Messages between two agents of which one delegates tasks to the other and waits for them. The store records each
//! message in the transaction of the change that it reports.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{AgentMessageId, TaskId};
use super::status::TaskStatus;
use super::task::Task;
use super::task_error::TaskError;
use crate::error::ErrorKind;

/// One recorded message between two agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentMessage {
    /// Primary key of the message.
    pub id: AgentMessageId,
    /// Name of the sending agent.
    pub source: String,
    /// Name of the receiving agent.
    pub target: String,
    /// The parent task: its agent sends the request and receives the reply.
    pub task_id: TaskId,
    /// The delegated task, the same in the request and its replies.
    pub correlation_id: TaskId,
    /// Type and payload of the message.
    #[serde(flatten)]
    pub content: AgentMessageContent,
    /// Time at which the message was recorded, by the clock of the store.
    pub timestamp: DateTime<Utc>,
}

/// Type and payload of a message between agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentMessageContent {
    /// A delegated task, with its payload.
    Task(Value),
    /// The delegated task completed, with its result.
    Result(Value),
    /// The delegated task failed or was cancelled, with the reason.
    Error(TaskError),
    /// An attempt at the delegated task is running; only the latest heartbeat of each is kept.
    Heartbeat(Heartbeat),
}

/// Type of an [`AgentMessage`], without its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentMessageType {
    /// A task was delegated to the agent.
    Task,
    /// The delegated task has completed.
    Result,
    /// The delegated task failed or was cancelled.
    Error,
    /// The delegated task is being worked on.
    Heartbeat,
}

impl AgentMessageType {
    /// Every message type, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Task, Self::Result, Self::Error, Self::Heartbeat];

    /// Returns the name used in JSON and in databases.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "TASK",
            Self::Result => "RESULT",
            Self::Error => "ERROR",
            Self::Heartbeat => "HEARTBEAT",
        }
    }
}

impl AgentMessageContent {
    /// Returns the bytes of the payload as JSON, which bound pages of messages; 0 for one that is always small.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Task(payload) | Self::Result(payload) => payload.to_string().len(),
            Self::Error(_) | Self::Heartbeat(_) => 0,
        }
    }

    /// Returns the message type of the content.
    pub fn kind(&self) -> AgentMessageType {
        match self {
            Self::Task(_) => AgentMessageType::Task,
            Self::Result(_) => AgentMessageType::Result,
            Self::Error(_) => AgentMessageType::Error,
            Self::Heartbeat(_) => AgentMessageType::Heartbeat,
        }
    }
}

/// Heartbeat of an attempt at a delegated task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Number of the attempt.
    pub attempt: u32,
    /// End of its lease unless the lease is renewed.
    pub lease_until: DateTime<Utc>,
}

impl AgentMessage {
    /// Creates the request with which the agent of `waiting` delegates `child`.
    pub fn ask(waiting: &Task, child: &Task, timestamp: DateTime<Utc>) -> Self {
        let content = AgentMessageContent::Task(child.payload.clone());
        Self::new((&waiting.agent, &child.agent), (waiting.id, child.id), content, timestamp)
    }

    /// Creates the reply of `child` to `waiting`; `None` while `child` has not ended.
    pub fn answer(waiting: &Task, child: &Task, timestamp: DateTime<Utc>) -> Option<Self> {
        let content = match child.status {
            TaskStatus::Completed => AgentMessageContent::Result(child.result.clone().unwrap_or(Value::Null)),
            TaskStatus::Cancelled => AgentMessageContent::Error(TaskError {
                kind: ErrorKind::Cancelled,
                message: "the task was cancelled".into(),
            }),
            TaskStatus::Failed => AgentMessageContent::Error(child.error.clone()?),
            TaskStatus::Pending | TaskStatus::Processing => return None,
        };
        Some(Self::new((&child.agent, &waiting.agent), (waiting.id, child.id), content, timestamp))
    }

    /// Creates the heartbeat of the running `child` for `waiting`; `None` while no worker holds `child`.
    pub fn heartbeat(waiting: &Task, child: &Task, timestamp: DateTime<Utc>) -> Option<Self> {
        let lease_until = child.lease_until?;
        let content = AgentMessageContent::Heartbeat(Heartbeat { attempt: child.attempt, lease_until });
        Some(Self::new((&child.agent, &waiting.agent), (waiting.id, child.id), content, timestamp))
    }

    /// Returns whether this task is one of the two that the message is about: the waiting one and the delegated one.
    pub fn is_about(&self, task: TaskId) -> bool {
        self.task_id == task || self.correlation_id == task
    }

    /// Returns whether this message takes the place of an earlier one: of the heartbeats of a child for a parent, only the
    /// latest is kept.
    pub fn replaces(&self, earlier: &Self) -> bool {
        let kinds = [self, earlier].map(|message| message.content.kind());
        kinds == [AgentMessageType::Heartbeat; 2]
            && (self.task_id, self.correlation_id) == (earlier.task_id, earlier.correlation_id)
    }

    /// Creates a message from one agent to another about the waiting task and the delegated one.
    pub fn new(
        (source, target): (&str, &str),
        (task_id, correlation_id): (TaskId, TaskId),
        content: AgentMessageContent,
        timestamp: DateTime<Utc>,
    ) -> Self {
        let (source, target) = (source.to_owned(), target.to_owned());
        Self { id: AgentMessageId::new(), source, target, task_id, correlation_id, content, timestamp }
    }
}
