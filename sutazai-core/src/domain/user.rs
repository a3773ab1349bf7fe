//! Users, sessions, and who is calling.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{SessionId, UserId};

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Their own things.
    User,
    /// Everything.
    Admin,
}

impl UserRole {
    /// In lower case, as tokens and databases spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// A user as it stands in the store.
#[derive(Clone, PartialEq)]
pub struct User {
    /// Its key.
    pub id: UserId,
    /// `[A-Za-z0-9_]{3,50}`; unique whatever the case.
    pub username: String,
    /// Unique whatever the case.
    pub email: String,
    /// An argon2id hash in PHC form.
    pub password_hash: String,
    /// What it may do.
    pub role: UserRole,
    /// A disabled user cannot sign in.
    pub disabled: bool,
    /// When it registered.
    pub created_at: DateTime<Utc>,
    /// When it last signed in.
    pub last_login_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("username", &self.username)
            .field("role", &self.role)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// A registration as the caller sends it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// `[A-Za-z0-9_]{3,50}`.
    pub username: String,
    /// An e-mail address.
    pub email: String,
    /// At least 8 characters and not a known-weak one.
    pub password: String,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A signed-in session: one family of refresh tokens, of which only the latest is good.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Its key; access tokens carry it.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of the refresh token that is good now, in hexadecimal.
    pub refresh_hash: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// When the refresh token ends.
    pub expires_at: DateTime<Utc>,
    /// When it was ended by logout or by the reuse of a spent token.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user", &self.user)
            .field("revoked_at", &self.revoked_at)
            .finish_non_exhaustive()
    }
}

/// Who is calling the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// The embedder itself, or an operator at the command line: sees everything; its tasks have no owner.
    System,
    /// A signed-in user: sees what is theirs; an admin sees everything.
    User {
        /// Who.
        id: UserId,
        /// What they may do.
        role: UserRole,
    },
}

impl Caller {
    /// The owner that tasks of this caller get.
    pub fn owner(&self) -> Option<UserId> {
        match self {
            Self::System => None,
            Self::User { id, .. } => Some(*id),
        }
    }

    /// The one permission check: whether this caller may see and touch what belongs to `owner`.
    pub fn may_touch(&self, owner: Option<UserId>) -> bool {
        match self {
            Self::System => true,
            Self::User { id, role } => *role == UserRole::Admin || owner == Some(*id),
        }
    }
}
