//! Users and tokens.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{User, UserId, UserRole};
use sutazai_core::identity::SignedIn;

/// The body of a sign-in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// A username or an e-mail address.
    pub(crate) login: String,
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// The body of a refresh.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    pub(crate) refresh_token: String,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh")
    }
}

/// A user as they see themselves.
#[derive(Debug, Serialize)]
pub(crate) struct UserView {
    id: UserId,
    username: String,
    email: String,
    role: UserRole,
    created_at: DateTime<Utc>,
    last_login_at: Option<DateTime<Utc>>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
            role: user.role,
            created_at: user.created_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// The answer to register, login and refresh.
#[derive(Serialize)]
pub(crate) struct SignedInView {
    user: UserView,
    access_token: String,
    refresh_token: String,
    token_type: &'static str,
    /// Seconds that the access token lives.
    expires_in: u64,
}

impl From<SignedIn> for SignedInView {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            user: signed_in.user.into(),
            access_token: signed_in.access_token,
            refresh_token: signed_in.refresh_token,
            token_type: "bearer",
            expires_in: signed_in.expires_in.as_secs(),
        }
    }
}
