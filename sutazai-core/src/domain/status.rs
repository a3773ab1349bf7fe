//! Status of a task.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Position of a task in its life cycle; [`lifecycle`](super::task::lifecycle) has the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// Queued: due now, due later, or waiting for its children.
    Pending,
    /// Running: a worker holds a lease on it.
    Processing,
    /// Ended with a result.
    Completed,
    /// Ended with an error after its last attempt: a dead letter.
    Failed,
    /// Ended because its cancellation was requested.
    Cancelled,
}

impl TaskStatus {
    /// Every status, in the order of declaration.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Cancelled];

    /// Returns whether the task has ended: no worker runs it again unless it is retried manually.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Returns the name in lower case, as JSON and databases have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for TaskStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TaskStatus {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == s).ok_or_else(|| {
            Error::invalid(
                "status",
                format!("expected one of pending, processing, completed, failed, cancelled, got {s:?}"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for status in TaskStatus::ALL {
            assert_eq!(status.as_str().parse::<TaskStatus>().unwrap(), status);
        }
        assert!("done".parse::<TaskStatus>().is_err());
    }
}
