//! Messages between agents as columns, in the same form in every database.

use std::borrow::Cow;

use serde_json::{Value, json};
use sutazai_core::Error;
use sutazai_core::domain::AgentMessageContent;

use crate::error::StoreResult;

/// Splits the content of a message into its type and its JSON payload.
pub(crate) fn column(content: &AgentMessageContent) -> StoreResult<(&'static str, Cow<'_, Value>)> {
    let payload = match content {
        AgentMessageContent::Task(payload) | AgentMessageContent::Result(payload) => Cow::Borrowed(payload),
        AgentMessageContent::Error(error) => Cow::Owned(serde_json::to_value(error)?),
        AgentMessageContent::Heartbeat(heartbeat) => Cow::Owned(serde_json::to_value(heartbeat)?),
    };
    Ok((content.kind().as_str(), payload))
}

/// Rebuilds the content that [`column`] has split.
pub(crate) fn content(kind: &str, payload: Value) -> StoreResult<AgentMessageContent> {
    let content = serde_json::from_value(json!({ "type": kind, "payload": payload }));
    Ok(content.map_err(|e| Error::internal(format!("a message between agents cannot be read: {e}")))?)
}
