//! Content of messages between agents as columns: its type and its payload.

use serde_json::{Value, json};
use sutazai_core::Error;
use sutazai_core::domain::AgentMessageContent;

use crate::columns::{Cell, Kind, Pair, unreadable};
use crate::error::StoreResult;

impl Pair for AgentMessageContent {
    const KINDS: [Kind; 2] = [Kind::Text, Kind::Json];

    fn first(&self) -> StoreResult<Cell<'_>> {
        Ok(Cell::Text(self.kind().as_str().into()))
    }

    fn second(&self) -> StoreResult<Cell<'_>> {
        let payload = match self {
            Self::Task(payload) | Self::Result(payload) => serde_json::to_string(payload),
            Self::Error(error) => serde_json::to_string(error),
            Self::Heartbeat(heartbeat) => serde_json::to_string(heartbeat),
        };
        Ok(Cell::Json(payload?.into()))
    }

    fn from_cells(kind: Cell<'_>, payload: Cell<'_>) -> StoreResult<Self> {
        let (kind, payload) = kind.text().zip(payload.json()).ok_or_else(unreadable)?;
        let payload: Value = serde_json::from_str(&payload)?;
        let content = serde_json::from_value(json!({ "type": kind, "payload": payload }));
        Ok(content.map_err(|e| Error::internal(format!("a message between agents cannot be read: {e}")))?)
    }
}
