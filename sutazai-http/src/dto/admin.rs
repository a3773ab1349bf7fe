//! Requests and responses of the administration: users, dead letter, statistics.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::Result;
use sutazai_core::domain::{
    Backlog, TaskId, TaskQuery, TaskStatistics, TaskStatus, User, UserCounts, UserId, UserPage, UserQuery,
    UserRole,
};
use utoipa::{IntoParams, ToSchema};

use crate::dto::auth::UserView;
use crate::dto::cursor::{DEFAULT_LIMIT, read_cursor, write_cursor};
use crate::openapi::vocabulary::RoleWord;

/// Query parameters of a list of users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUsers {
    /// Maximum number of users on a page.
    #[param(nullable = false, minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Return only users whose username or e-mail address contains this text.
    #[param(nullable = false)]
    search: Option<String>,
}

impl ListUsers {
    /// Converts the parameters into a query for users.
    ///
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

/// User as shown to admins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ManagedUser)]
pub(crate) struct ManagedUserView {
    #[serde(flatten)]
    user: UserView,
    /// True if the user is prevented from signing in.
    disabled: bool,
}

impl From<User> for ManagedUserView {
    fn from(user: User) -> Self {
        Self { disabled: user.disabled, user: user.into() }
    }
}

/// One page of users, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    items: Vec<ManagedUserView>,
    /// Cursor of the next page; null on the last page.
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

/// Request to change the role of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeRole {
    #[schema(value_type = RoleWord)]
    pub(crate) role: UserRole,
}

/// Query parameters of a list of failed tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeadLetter {
    /// Maximum number of tasks on a page.
    #[param(nullable = false, minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// `next_cursor` of the previous page.
    #[param(nullable = false, pattern = "^[0-9a-f]{32}$")]
    cursor: Option<String>,
    /// Return only tasks of this agent.
    #[param(nullable = false)]
    agent: Option<String>,
}

impl ListDeadLetter {
    /// Converts the parameters into a query for failed tasks.
    ///
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

/// Selection of the failed tasks to retry.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryAll {
    /// Retry only tasks of this agent; null or left out: of all agents.
    pub(crate) agent: Option<String>,
}

/// Number of failed tasks that are pending again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetriedTasks {
    pub(crate) retried: u64,
}

/// Usage statistics of the server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Statistics)]
pub(crate) struct StatisticsView {
    /// Numbers of users; null when the server runs without users.
    users: Option<UserNumbers>,
    tasks: TaskNumbers,
    queue: QueueNumbers,
}

/// Numbers of users by activity.
#[derive(Debug, Serialize, ToSchema)]
struct UserNumbers {
    total: u64,
    /// Number of users who are prevented from signing in.
    disabled: u64,
    /// Number of users with an active session that was started or refreshed within the lifetime of an access token.
    active: u64,
}

impl From<UserCounts> for UserNumbers {
    fn from(counts: UserCounts) -> Self {
        Self { total: counts.total, disabled: counts.disabled, active: counts.active }
    }
}

/// Numbers of tasks by agent and status.
#[derive(Debug, Serialize, ToSchema)]
struct TaskNumbers {
    total: u64,
    #[schema(value_type = BTreeMap<String, u64>)]
    by_status: BTreeMap<TaskStatus, u64>,
    /// Numbers by agent, then by status.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, u64>>)]
    by_agent: BTreeMap<String, BTreeMap<TaskStatus, u64>>,
}

/// State of the queue.
#[derive(Debug, Serialize, ToSchema)]
struct QueueNumbers {
    /// Number of pending tasks that do not wait for other tasks, including tasks that are not due yet.
    depth: u64,
    /// Seconds since the oldest due task became due; 0 when none is due.
    oldest_age_seconds: f64,
}

impl StatisticsView {
    pub(crate) fn new(
        users: Option<UserCounts>,
        tasks: TaskStatistics,
        backlog: Backlog,
        now: DateTime<Utc>,
    ) -> Self {
        let mut by_status: BTreeMap<TaskStatus, u64> =
            TaskStatus::ALL.into_iter().map(|status| (status, 0)).collect();
        let mut by_agent: BTreeMap<String, BTreeMap<TaskStatus, u64>> = BTreeMap::new();
        for one in tasks.counts {
            *by_status.entry(one.status).or_default() += one.count;
            *by_agent.entry(one.agent).or_default().entry(one.status).or_default() += one.count;
        }
        let waited = backlog.oldest.map(|since| (now - since).to_std().unwrap_or_default());
        Self {
            users: users.map(UserNumbers::from),
            queue: QueueNumbers {
                depth: backlog.tasks,
                oldest_age_seconds: waited.unwrap_or_default().as_secs_f64(),
            },
            tasks: TaskNumbers { total: by_status.values().sum(), by_status, by_agent },
        }
    }
}
