//! The JSON of a WebSocket's messages.

use serde::{Deserialize, Serialize, Serializer};
use sutazai_core::Error;
use sutazai_core::domain::{TaskEvent, TaskId};

use crate::error::{ApiError, ErrorBody};
use crate::extract::read_json;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// The events after this one, and those that come.
    Subscribe(Subscription, Option<String>),
    /// No more of them.
    Unsubscribe(Subscription),
    /// Whether somebody is there.
    Ping,
}

/// Whose events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subscription {
    /// Those of all the caller's tasks.
    All,
    /// Those of one task.
    Task(TaskId),
}

/// What a client is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// Events with a later id than `after` will come.
    Subscribed { subscription: Subscription, after: String },
    /// No more will come: the client asked for that, or the task has ended and its last event was given.
    Unsubscribed { subscription: Subscription },
    /// Something happened. `id` is good as `after`.
    Event { subscription: Subscription, id: String, event: TaskEvent },
    /// A message could not be followed, or a subscription cannot go on.
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription: Option<Subscription>,
        error: ErrorBody,
    },
    /// The answer to a ping.
    Pong,
}

/// A client's message as it stands on the line. One flat object, so that each error names its field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(rename = "type")]
    kind: Kind,
    task_id: Option<TaskId>,
    after: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Subscribe,
    Unsubscribe,
    Ping,
}

impl Request {
    /// Reads a message.
    ///
    /// # Errors
    /// `malformed` when it is no JSON, `InvalidInput` naming the field that does not fit.
    pub(crate) fn read(text: &str) -> Result<Self, ApiError> {
        let Line { kind, task_id, after } = read_json(text.as_bytes())?;
        let subscription = task_id.map_or(Subscription::All, Subscription::Task);
        let unwanted = |field| Err(Error::invalid(field, "a message of this type has no such field").into());
        match kind {
            Kind::Subscribe => Ok(Self::Subscribe(subscription, after)),
            Kind::Unsubscribe | Kind::Ping if after.is_some() => unwanted("after"),
            Kind::Unsubscribe => Ok(Self::Unsubscribe(subscription)),
            Kind::Ping if task_id.is_some() => unwanted("task_id"),
            Kind::Ping => Ok(Self::Ping),
        }
    }
}

impl Serialize for Subscription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Task(id) => id.serialize(serializer),
        }
    }
}
