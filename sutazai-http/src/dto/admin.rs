//! Requests and responses of the administration: users, dead letter, statistics.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_bodies::auth::UserView;
use sutazai_bodies::page::PageView;
use sutazai_bodies::vocabulary::RoleWord;
use sutazai_core::domain::{Backlog, NewUser, TaskStatistics, User, UserCounts, UserRole};
use utoipa::{IntoParams, ToSchema};

use crate::dto::task::TaskNumbers;

/// Query parameters that filter a list of users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserFilter {
    /// Return only users whose username or e-mail address contains this text.
    #[param(nullable = false)]
    pub(crate) search: Option<String>,
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
pub(crate) type UserList = PageView<ManagedUserView>;

/// Request to create a user as an admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUser {
    #[schema(min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_]{3,50}$", example = "ada")]
    username: String,
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// Must not be easy to guess, nor be the username or the e-mail address.
    #[schema(min_length = 8, example = "correct horse battery")]
    password: String,
    /// Role of the user; null or left out: `user`.
    #[schema(value_type = Option<RoleWord>)]
    role: Option<UserRole>,
}

impl fmt::Debug for CreateUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CreateUser")
    }
}

impl CreateUser {
    /// Splits the request into the new user and the role.
    pub(crate) fn split(self) -> (NewUser, UserRole) {
        let Self { username, email, password, role } = self;
        (NewUser { username, email, password }, role.unwrap_or(UserRole::User))
    }
}

/// Request to set the password of a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPassword {
    /// Must not be easy to guess, nor be the username or the e-mail address.
    #[schema(min_length = 8, example = "correct horse battery")]
    pub(crate) password: String,
}

impl fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetPassword")
    }
}

/// Request to change the role of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeRole {
    #[schema(value_type = RoleWord)]
    pub(crate) role: UserRole,
}

/// Query parameters that filter a list of failed tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeadLetterFilter {
    /// Return only tasks of this agent.
    #[param(nullable = false)]
    pub(crate) agent: Option<String>,
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
        let waited = backlog.oldest.map(|since| (now - since).to_std().unwrap_or_default());
        Self {
            users: users.map(UserNumbers::from),
            queue: QueueNumbers {
                depth: backlog.tasks,
                oldest_age_seconds: waited.unwrap_or_default().as_secs_f64(),
            },
            tasks: tasks.into(),
        }
    }
}
