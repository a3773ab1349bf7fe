//! Users, their sessions, and how both are found and changed.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::id::{InvitationId, SessionId, UserId};

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
    /// All of them.
    pub const ALL: [Self; 2] = [Self::User, Self::Admin];

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

/// An invitation to register, as it stands in the store: good for one user, until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its key; not a secret.
    pub id: InvitationId,
    /// SHA-256 of the whole invitation, in hexadecimal.
    pub hash: String,
    /// The admin who made it; none for an operator at the command line.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is refused.
    pub expires_at: DateTime<Utc>,
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("id", &self.id)
            .field("created_by", &self.created_by)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// How long a spent refresh token may be repeated by the client that spent it: the answer may have been lost on its way.
pub const REFRESH_REPEAT_WINDOW: TimeDelta = TimeDelta::seconds(30);

/// What the store keeps of the refresh token that another is exchanged for.
#[derive(Clone, PartialEq, Eq)]
pub struct Successor {
    /// SHA-256 of the new token, in hexadecimal.
    pub hash: String,
    /// What the new token was derived with from the old one. It says nothing to who does not have the old one.
    pub salt: String,
}

impl fmt::Debug for Successor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Successor").finish_non_exhaustive()
    }
}

/// A refresh token that was exchanged for its successor.
#[derive(Clone, PartialEq, Eq)]
pub struct SpentToken {
    /// When it was exchanged.
    pub spent_at: DateTime<Utc>,
    /// What its successor was derived with, while the token may be repeated.
    pub salt: Option<String>,
}

impl fmt::Debug for SpentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpentToken").field("spent_at", &self.spent_at).finish_non_exhaustive()
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
    /// When it was ended: by its user, by an admin, or by the reuse of a spent token.
    pub revoked_at: Option<DateTime<Utc>>,
    /// What the program that signed in calls itself.
    pub user_agent: Option<String>,
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

/// Which users to list. Newest first; every set field narrows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Only those whose username or e-mail contains this text, whatever the case.
    pub search: Option<String>,
    /// Only those older than this key: where the page before ended.
    pub before: Option<UserId>,
    /// At most so many, 1 to 100.
    pub limit: u32,
}

/// One page of users.
#[derive(Debug, Clone, PartialEq)]
pub struct UserPage {
    /// Newest first.
    pub items: Vec<User>,
    /// Hand this back as `before` for the next page; none at the end.
    pub next: Option<UserId>,
}

/// How many users there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UserCounts {
    /// All of them.
    pub total: u64,
    /// Those that cannot sign in.
    pub disabled: u64,
    /// Those with a session that has not ended and was begun or refreshed of late.
    pub active: u64,
}

/// A change of one user.
#[derive(Clone, PartialEq, Eq)]
pub enum UserChange {
    /// A new password; one session outlives it.
    Password {
        /// Its hash in PHC form.
        hash: String,
        /// The session in which it was changed.
        keep: SessionId,
    },
    /// The same password under a hash of another cost; nothing if it was changed meanwhile.
    Rehash {
        /// The hash that it was verified against.
        from: String,
        /// The hash in its place.
        to: String,
    },
    /// Whether the user is disabled.
    Disabled(bool),
    /// What the user may do.
    Role(UserRole),
}

impl UserChange {
    /// Whether a user after it is no admin who can sign in.
    pub fn takes_an_admin(&self) -> bool {
        matches!(self, Self::Disabled(true) | Self::Role(UserRole::User))
    }
}

impl fmt::Debug for UserChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { keep, .. } => {
                f.debug_struct("Password").field("keep", keep).finish_non_exhaustive()
            }
            Self::Rehash { .. } => f.debug_struct("Rehash").finish_non_exhaustive(),
            Self::Disabled(disabled) => f.debug_tuple("Disabled").field(disabled).finish(),
            Self::Role(role) => f.debug_tuple("Role").field(role).finish(),
        }
    }
}

/// A user after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedUser {
    /// As it stands now.
    pub user: User,
    /// The sessions that ended with the change.
    pub ended: Vec<SessionId>,
}
