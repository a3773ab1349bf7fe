//! The life of a task as one transition table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where a task stands.
///
/// ```text
/// pending ──claim──▶ processing ──▶ completed | failed | cancelled
///    ▲                   │
///    └── retry, hand back, lease expiry, wait for children
/// failed ──manual retry──▶ pending        pending ──cancel──▶ cancelled
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskStatus {
    /// In the queue: due now, due later, or waiting for its children.
    Pending,
    /// A worker holds a lease on it.
    Processing,
    /// Ended with a result.
    Completed,
    /// Ended with an error after its last attempt: a dead letter.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
}

impl TaskStatus {
    /// All of them, in order.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Cancelled];

    /// The transition table: whether a task may go from `self` to `to`.
    pub fn may_become(self, to: Self) -> bool {
        use TaskStatus::{Cancelled, Completed, Failed, Pending, Processing};
        matches!(
            (self, to),
            (Pending, Processing | Cancelled | Failed)
                | (Processing, Completed | Failed | Cancelled | Pending)
                | (Failed, Pending)
        )
    }

    /// Whether the task has ended: no worker will touch it again.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The status in lower case, as it stands in JSON and in databases.
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
    fn an_ended_task_only_leaves_failed_by_retry() {
        for from in TaskStatus::ALL.into_iter().filter(|s| s.has_ended()) {
            for to in TaskStatus::ALL {
                let expected = from == TaskStatus::Failed && to == TaskStatus::Pending;
                assert_eq!(from.may_become(to), expected, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn text_round_trips() {
        for status in TaskStatus::ALL {
            assert_eq!(status.as_str().parse::<TaskStatus>().unwrap(), status);
        }
        assert!("done".parse::<TaskStatus>().is_err());
    }
}
