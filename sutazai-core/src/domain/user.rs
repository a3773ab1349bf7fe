//! Users, their sessions and invitations, and the queries and changes of them.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::id::{InvitationId, SessionId, UserId};
use super::page::PageRequest;

/// Role of a user account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserRole {
    /// Access to the user's own objects.
    User,
    /// Access to everything, including the administration of users.
    Admin,
}

impl UserRole {
    /// Every role, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::User, Self::Admin];

    /// Returns the name in lower case, as tokens and databases have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

/// A user account as it is stored.
#[derive(Clone, PartialEq)]
pub struct User {
    /// Primary key of the user.
    pub id: UserId,
    /// Name that matches `[A-Za-z0-9_]{3,50}`; unique regardless of case.
    pub username: String,
    /// E-mail address; unique regardless of case.
    pub email: String,
    /// Argon2id hash of the password in PHC format.
    pub password_hash: String,
    /// Role of the user.
    pub role: UserRole,
    /// Disables the account: a disabled user cannot sign in.
    pub disabled: bool,
    /// Time at which the user registered.
    pub created_at: DateTime<Utc>,
    /// Time at which the user last signed in.
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

/// Registration of a user, as the caller sends it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Name that matches `[A-Za-z0-9_]{3,50}`.
    pub username: String,
    /// E-mail address of the user.
    pub email: String,
    /// Password of at least 8 characters that is not on the list of weak ones.
    pub password: String,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// An invitation to register as it is stored, valid for one user until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Primary key of the invitation; not a secret.
    pub id: InvitationId,
    /// SHA-256 of the plaintext invitation, in hexadecimal.
    pub hash: String,
    /// Admin who created it; `None` for an operator at the command line.
    pub created_by: Option<UserId>,
    /// Time at which the invitation was created.
    pub created_at: DateTime<Utc>,
    /// Time at which the invitation expires.
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

/// Time during which the client may repeat a spent refresh token: 30 s, because the response with its successor may
/// have been lost.
pub const REFRESH_REPEAT_WINDOW: TimeDelta = TimeDelta::seconds(30);

/// Stored part of the refresh token that replaces another one.
#[derive(Clone, PartialEq, Eq)]
pub struct Successor {
    /// SHA-256 of the new token, in hexadecimal.
    pub hash: String,
    /// Salt with which the new token was derived from the old one; useless without the old one.
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
    /// Time at which the token was exchanged.
    pub spent_at: DateTime<Utc>,
    /// Salt of its successor, as long as the token may be repeated.
    pub salt: Option<String>,
}

impl fmt::Debug for SpentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpentToken").field("spent_at", &self.spent_at).finish_non_exhaustive()
    }
}

/// A session: one family of refresh tokens, of which only the latest is valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Primary key; access tokens carry it.
    pub id: SessionId,
    /// User who signed in.
    pub user: UserId,
    /// SHA-256 of the currently valid refresh token, in hexadecimal.
    pub refresh_hash: String,
    /// Time at which the session began.
    pub created_at: DateTime<Utc>,
    /// Time at which the session was last refreshed.
    pub refreshed_at: DateTime<Utc>,
    /// Time at which the refresh token expires.
    pub expires_at: DateTime<Utc>,
    /// Time at which the session was revoked: by its user, by an admin, or because a spent token was reused.
    pub revoked_at: Option<DateTime<Utc>>,
    /// User agent that the client sent when it signed in.
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

/// Filter and page of a listing of users, newest first. Set fields are combined with "and".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserQuery {
    /// Only users whose username or e-mail contains this text, regardless of case.
    pub search: Option<String>,
    /// Page of the listing to return.
    pub page: PageRequest<UserId>,
}

/// Numbers of user accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct UserCounts {
    /// Number of all users.
    pub total: u64,
    /// Number of users that cannot sign in.
    pub disabled: u64,
    /// Number of users with a live session that was started or refreshed recently.
    pub active: u64,
}

/// A change of one user account.
#[derive(Clone, PartialEq, Eq)]
pub enum UserChange {
    /// Sets a new password; revokes all sessions, except one that is kept.
    Password {
        /// Hash of the new password in PHC format.
        hash: String,
        /// Session in which the password was changed; it stays valid. `None` if an admin has set the password.
        keep: Option<SessionId>,
    },
    /// Replaces the hash of the same password by one of another cost; no effect if the password changed meanwhile.
    Rehash {
        /// Hash that the password was verified against.
        from: String,
        /// Hash that replaces it.
        to: String,
    },
    /// Disables or enables the account.
    Disabled(bool),
    /// Changes the role of the user.
    Role(UserRole),
}

impl UserChange {
    /// Returns whether the user is no longer an admin who can sign in after the change.
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

/// Result of changing a user account.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedUser {
    /// The user after the change.
    pub user: User,
    /// Sessions that the change has revoked.
    pub ended: Vec<SessionId>,
}
