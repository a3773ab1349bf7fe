//! JSON messages of a WebSocket.

use serde::{Deserialize, Serialize, Serializer};
use sutazai_bodies::error::ErrorBody;
use sutazai_core::Error;
use sutazai_core::domain::{TaskEvent, TaskId};

use crate::error::ApiError;
use crate::extract::read_json;

/// Message of a client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    /// Subscribes to the events after the given one, past and future.
    Subscribe(Subscription, Option<String>),
    /// Ends an existing subscription.
    Unsubscribe(Subscription),
    /// Asks for a pong.
    Ping,
}

/// Set of tasks whose events a client follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Subscription {
    /// All tasks of the caller.
    All,
    /// Events of one task.
    Task(TaskId),
}

/// Message of the server.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Message {
    /// Confirms a subscription: events with a later id than `after` will follow.
    Subscribed { subscription: Subscription, after: String },
    /// Ends a subscription: the client asked for it, or the task has ended and its last event was sent.
    Unsubscribed { subscription: Subscription },
    /// Reports an event. `id` can be used as `after`.
    Event { subscription: Subscription, id: String, event: TaskEvent },
    /// Reports that a message was rejected, or that a subscription failed.
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        subscription: Option<Subscription>,
        error: ErrorBody,
    },
    /// Responds to a ping.
    Pong,
}

/// Message of a client on the wire. It is one flat object instead of an enum, so that each error can name its field.
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
    /// Parses a client message from JSON.
    ///
    /// # Errors
    /// `malformed` when it is not JSON; `InvalidInput` naming the invalid field.
    pub(crate) fn read(text: &str) -> Result<Self, ApiError> {
        let Line { kind, task_id, after } = read_json(text.as_bytes())?;
        let subscription = task_id.map_or(Subscription::All, Subscription::Task);
        let unwanted =
            |field| Err(Error::invalid(field, "a message of this type does not have this field").into());
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
