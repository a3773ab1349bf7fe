//! What two agents say to each other when one hands tasks to the other and waits for them. The store writes it down in the
//! transaction of what it tells of.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::id::{AgentMessageId, TaskId};
use super::outcome::TaskError;
use super::status::TaskStatus;
use super::task::Task;
use crate::error::ErrorKind;

/// One message between two agents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentMessage {
    /// Its key.
    pub id: AgentMessageId,
    /// The agent that says it.
    pub source: String,
    /// The agent that it is for.
    pub target: String,
    /// The task that waits: whose agent asks, and gets the answer.
    pub task_id: TaskId,
    /// The task that was handed over: the same in what asks for it and in what answers.
    pub correlation_id: TaskId,
    /// What is said.
    #[serde(flatten)]
    pub content: AgentMessageContent,
    /// When, by the clock of the store.
    pub timestamp: DateTime<Utc>,
}

/// What one agent says to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "payload", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentMessageContent {
    /// Do this: the payload of the task that is handed over.
    Task(Value),
    /// It is done: the result.
    Result(Value),
    /// It will not be done: why not.
    Error(TaskError),
    /// It is being worked on; only the latest of each is kept.
    Heartbeat(Heartbeat),
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AgentMessageType {
    /// A task is handed over.
    Task,
    /// It is done.
    Result,
    /// It will not be done.
    Error,
    /// It is being worked on.
    Heartbeat,
}

impl AgentMessageType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Task, Self::Result, Self::Error, Self::Heartbeat];

    /// As it stands in JSON and in databases.
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
    /// What kind it is.
    pub fn kind(&self) -> AgentMessageType {
        match self {
            Self::Task(_) => AgentMessageType::Task,
            Self::Result(_) => AgentMessageType::Result,
            Self::Error(_) => AgentMessageType::Error,
            Self::Heartbeat(_) => AgentMessageType::Heartbeat,
        }
    }
}

/// That an attempt at a task that another waits for goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Which attempt.
    pub attempt: u32,
    /// Until when it is held if nothing more is heard of it.
    pub lease_until: DateTime<Utc>,
}

impl AgentMessage {
    /// `waiting` hands `child` over.
    pub fn ask(waiting: &Task, child: &Task, timestamp: DateTime<Utc>) -> Self {
        let content = AgentMessageContent::Task(child.payload.clone());
        Self::new((&waiting.agent, &child.agent), (waiting.id, child.id), content, timestamp)
    }

    /// `child` tells `waiting` how it has ended; nothing while it has not.
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

    /// From one agent to another, about the task that waits and the one that was handed over.
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

/// Some of the messages of a task, in the order in which they were written down.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentMessagePage {
    /// The messages.
    pub items: Vec<AgentMessage>,
    /// After which to ask for more, if there may be more.
    pub next: Option<u64>,
}
