//! Messages between agents as columns: the same over every database.

use std::borrow::Cow;

use serde_json::{Value, json};
use sutazai_core::Error;
use sutazai_core::domain::{AgentMessage, AgentMessageContent, AgentMessagePage};

use crate::fault::Outcome;

/// The type and the payload.
pub(crate) fn column(content: &AgentMessageContent) -> Outcome<(&'static str, Cow<'_, Value>)> {
    Ok(match content {
        AgentMessageContent::Task(payload) => ("TASK", Cow::Borrowed(payload)),
        AgentMessageContent::Result(result) => ("RESULT", Cow::Borrowed(result)),
        AgentMessageContent::Error(error) => ("ERROR", Cow::Owned(serde_json::to_value(error)?)),
        AgentMessageContent::Heartbeat(heartbeat) => {
            ("HEARTBEAT", Cow::Owned(serde_json::to_value(heartbeat)?))
        }
    })
}

/// What [`column`] was made of.
pub(crate) fn content(kind: &str, payload: Value) -> Outcome<AgentMessageContent> {
    let content = serde_json::from_value(json!({ "type": kind, "payload": payload }));
    Ok(content.map_err(|e| Error::internal(format!("a message between agents cannot be read: {e}")))?)
}

/// A page of at most `limit` of these, which are numbered, and one more if there is one.
pub(crate) fn page(mut found: Vec<(u64, AgentMessage)>, limit: u32) -> AgentMessagePage {
    let limit = limit as usize;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().map(|(number, _)| *number).filter(|_| more);
    AgentMessagePage { items: found.into_iter().map(|(_, message)| message).collect(), next }
}
