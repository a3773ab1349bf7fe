//! Rows for which the domain has no type, because no caller sees them as a whole.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sutazai_core::domain::{EventOffset, InstanceId, TaskId};

/// One child in the last request of a task to wait for children.
#[derive(Debug)]
pub(crate) struct Wait {
    pub(crate) parent: TaskId,
    /// Place of the child in the request: 0, 1, 2 ...
    pub(crate) position: u32,
    pub(crate) child: TaskId,
    /// True while the parent still waits for this child.
    pub(crate) open: bool,
}

impl Wait {
    /// Returns the waits of a parent for these children; `open` has those that have not ended.
    pub(crate) fn all(parent: TaskId, children: &[TaskId], open: &HashSet<TaskId>) -> Vec<Self> {
        let waits = (0..).zip(children);
        waits
            .map(|(position, &child)| Self { parent, position, child, open: open.contains(&child) })
            .collect()
    }
}

/// Id of the one row in the table of the relay.
pub(crate) const ONLY_ROW: i16 = 1;

/// Position of the relay, and the process that advances it.
#[derive(Debug)]
pub(crate) struct RelayPosition {
    /// Offset of the last published event.
    pub(crate) position: EventOffset,
    pub(crate) holder: Option<InstanceId>,
    /// Time from which another process may take over.
    pub(crate) held_until: DateTime<Utc>,
}

/// Last heartbeat of an agent, from any process.
#[derive(Debug)]
pub(crate) struct AgentHeartbeat {
    pub(crate) name: String,
    pub(crate) last_seen_at: DateTime<Utc>,
}
