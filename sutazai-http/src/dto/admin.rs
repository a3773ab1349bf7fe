//! What admins ask and see.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::{
    TaskId, TaskQuery, TaskStatistics, TaskStatus, User, UserCounts, UserId, UserPage, UserQuery, UserRole,
};

use crate::dto::auth::UserView;
use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};

/// The parameters of a listing of users.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListUsers {
    limit: Option<u32>,
    cursor: Option<String>,
    search: Option<String>,
}

impl ListUsers {
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn query(self) -> Result<UserQuery> {
        Ok(UserQuery {
            search: self.search,
            before: self.cursor.as_deref().map(read_cursor).transpose()?.map(UserId),
            limit: self.limit.unwrap_or(DEFAULT_LIMIT),
        })
    }
}

/// A user as an admin sees them.
#[derive(Debug, Serialize)]
pub(crate) struct ManagedUserView {
    #[serde(flatten)]
    user: UserView,
    disabled: bool,
}

impl From<User> for ManagedUserView {
    fn from(user: User) -> Self {
        Self { disabled: user.disabled, user: user.into() }
    }
}

/// One page of users.
#[derive(Debug, Serialize)]
pub(crate) struct UserList {
    items: Vec<ManagedUserView>,
    /// Hand it back as `cursor` for the next page; null at the end.
    next_cursor: Option<String>,
}

impl From<UserPage> for UserList {
    fn from(page: UserPage) -> Self {
        Self {
            items: page.items.into_iter().map(ManagedUserView::from).collect(),
            next_cursor: page.next.map(|id| write_cursor(id.0)),
        }
    }
}

/// The body of a change of role.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeRole {
    pub(crate) role: UserRole,
}

/// The parameters of a listing of failed tasks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListDeadLetter {
    limit: Option<u32>,
    cursor: Option<String>,
    agent: Option<String>,
}

impl ListDeadLetter {
    /// # Errors
    /// `InvalidInput` naming `cursor`.
    pub(crate) fn query(self) -> Result<TaskQuery> {
        Ok(TaskQuery {
            status: Some(TaskStatus::Failed),
            agent: self.agent,
            before: self.cursor.as_deref().map(read_cursor).transpose()?.map(TaskId),
            limit: self.limit.unwrap_or(DEFAULT_LIMIT),
            ..TaskQuery::default()
        })
    }
}

/// The body of a retry of all failed tasks.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryAll {
    /// Only those of this agent.
    pub(crate) agent: Option<String>,
}

/// How the server is used.
#[derive(Debug, Serialize)]
pub(crate) struct StatisticsView {
    /// Null when the server runs without users.
    users: Option<UserCounts>,
    tasks: TaskNumbers,
    queue: QueueNumbers,
}

#[derive(Debug, Serialize)]
struct TaskNumbers {
    total: u64,
    by_status: BTreeMap<TaskStatus, u64>,
    by_agent: BTreeMap<String, BTreeMap<TaskStatus, u64>>,
}

#[derive(Debug, Serialize)]
struct QueueNumbers {
    /// Pending tasks, also those that are not due yet.
    depth: u64,
    /// How long the task that has been due longest has waited; 0 when none is due.
    oldest_age_seconds: f64,
}

impl StatisticsView {
    pub(crate) fn new(users: Option<UserCounts>, tasks: TaskStatistics, now: DateTime<Utc>) -> Self {
        let mut by_status: BTreeMap<TaskStatus, u64> =
            TaskStatus::ALL.into_iter().map(|status| (status, 0)).collect();
        let mut by_agent: BTreeMap<String, BTreeMap<TaskStatus, u64>> = BTreeMap::new();
        for one in tasks.counts {
            *by_status.entry(one.status).or_default() += one.count;
            *by_agent.entry(one.agent).or_default().entry(one.status).or_default() += one.count;
        }
        let waited = tasks.oldest_pending.map(|since| (now - since).to_std().unwrap_or_default());
        Self {
            users,
            queue: QueueNumbers {
                depth: by_status.get(&TaskStatus::Pending).copied().unwrap_or_default(),
                oldest_age_seconds: waited.unwrap_or_default().as_secs_f64(),
            },
            tasks: TaskNumbers { total: by_status.values().sum(), by_status, by_agent },
        }
    }
}
