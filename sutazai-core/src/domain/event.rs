//! Events of a task, numbered without gaps from 1.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::id::{TaskId, UserId};
use super::status::TaskStatus;
use super::task_error::TaskError;
use crate::error::{Error, Result};

/// One entry in the event log of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TaskEvent {
    /// Task that the event belongs to.
    #[schemars(with = "String", extend("format" = "uuid"))]
    pub task_id: TaskId,
    /// Number within the task: 1, 2, 3 ... without gaps.
    pub sequence: u64,
    /// Time at which the event occurred.
    pub at: DateTime<Utc>,
    /// Type and content of the event.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// Type and content of a task event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// The task changed to this status.
    Status {
        /// The new status of the task.
        status: TaskStatus,
        /// Number of the attempt that the change belongs to.
        attempt: u32,
        /// Error that caused the change, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<TaskError>,
    },
    /// The agent reported progress.
    Progress {
        /// Completed share, 0.0 to 1.0.
        fraction: f32,
        /// Current activity of the agent, for people.
        message: String,
        /// Name of the current stage in snake case, for programs; `None` if the agent has no stages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<String>,
    },
    /// The model generated text.
    Text {
        /// The next piece of the text.
        text: String,
        /// Id of the finding that the text is about; `None` if it is about none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finding_id: Option<String>,
    },
    /// The rules of an analysis have been run; the texts about the findings follow.
    Findings {
        /// Findings, most severe first.
        findings: Vec<Finding>,
    },
}

impl EventKind {
    /// Names of all variants.
    pub const NAMES: [&str; 4] = ["status", "progress", "text", "findings"];

    /// Creates a progress report without a stage; the share is clamped to 0.0 to 1.0.
    pub fn progress(fraction: f32, message: impl Into<String>) -> Self {
        Self::Progress { fraction: fraction.clamp(0.0, 1.0), message: message.into(), stage: None }
    }

    /// Creates a piece of text that is about no finding.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), finding_id: None }
    }

    /// Returns the variant's name in snake case, which is also the SSE event name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Progress { .. } => "progress",
            Self::Text { .. } => "text",
            Self::Findings { .. } => "findings",
        }
    }

    /// Returns the size in bytes of the text in the event, which a page of events counts.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Status { error, .. } => error.as_ref().map_or(0, |error| error.message.len()),
            Self::Progress { message, .. } => message.len(),
            Self::Text { text, .. } => text.len(),
            Self::Findings { findings } => findings.iter().map(Finding::text_bytes).sum(),
        }
    }
}

/// Offset of an event in the event log of all tasks of a store, written in decimal. Later events have larger offsets;
/// there are gaps, and the numbers have no other meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventOffset(pub u128);

impl fmt::Display for EventOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for EventOffset {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let digits = Some(s).filter(|s| s.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|s| s.parse().ok());
        number.map(Self).ok_or_else(|| Error::invalid("after", "expected the id of an event, unchanged"))
    }
}

/// One entry of the event log that covers all tasks of a store in one order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventLogEntry {
    /// Offset in the event log.
    pub position: EventOffset,
    /// Owner of the task.
    pub owner: Option<UserId>,
    /// The event with its task and sequence number.
    pub event: TaskEvent,
}

/// An event reported by an agent; the store assigns its sequence number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// Time at which the event occurred.
    pub at: DateTime<Utc>,
    /// Type and content of the event.
    pub kind: EventKind,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_of_earlier_versions_are_readable() {
        for (old, expected) in [
            (
                json!({ "type": "progress", "fraction": 0.5, "message": "half way" }),
                EventKind::progress(0.5, "half way"),
            ),
            (json!({ "type": "text", "text": "one" }), EventKind::text("one")),
        ] {
            let read: EventKind = serde_json::from_value(old.clone()).unwrap();
            assert_eq!(read, expected);
            assert_eq!(serde_json::to_value(read).unwrap(), old, "and written as before");
        }
    }

    #[test]
    fn text_of_findings_counts() {
        let finding = Finding {
            id: "memory_low".into(),
            rule: "memory_low".into(),
            severity: crate::domain::Severity::Warning,
            resource: "memory".into(),
            summary: "x".repeat(500),
            evidence: Vec::new(),
            remedies: Vec::new(),
        };
        let findings = EventKind::Findings { findings: vec![finding.clone(), finding] };
        assert!((1000..1200).contains(&findings.text_bytes()), "{}", findings.text_bytes());
    }
}
