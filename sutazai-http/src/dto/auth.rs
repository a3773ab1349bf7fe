//! Registration, sign-in, users and tokens.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{NewUser, User, UserId, UserRole};
use sutazai_core::identity::SignedIn;
use utoipa::ToSchema;

use crate::openapi::vocabulary::RoleWord;

/// Request to create a user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Register {
    #[schema(min_length = 3, max_length = 50, pattern = "^[A-Za-z0-9_]{3,50}$", example = "ada")]
    username: String,
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// Must not be easy to guess, nor be the username or the e-mail address. The error names its strength, 0 to 4.
    #[schema(min_length = 8, example = "correct horse battery")]
    password: String,
    /// Invitation of an admin; required while registration is closed.
    invitation: Option<String>,
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Register")
    }
}

impl Register {
    /// Splits the request into the new user and the invitation.
    pub(crate) fn split(self) -> (NewUser, Option<String>) {
        let Self { username, email, password, invitation } = self;
        (NewUser { username, email, password }, invitation)
    }
}

/// Request to sign in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// Username or e-mail address.
    #[schema(example = "ada")]
    pub(crate) login: String,
    #[schema(example = "correct horse battery")]
    pub(crate) password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// Request to exchange a refresh token for new tokens.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    /// Refresh token of the latest sign-in or refresh of the session; required unless it is in the cookie.
    pub(crate) refresh_token: Option<String>,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh")
    }
}

/// User as shown to themselves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    #[schema(value_type = Uuid)]
    id: UserId,
    #[schema(example = "ada")]
    username: String,
    #[schema(example = "ada@example.org")]
    email: String,
    #[schema(value_type = RoleWord)]
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

/// User with the tokens of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub(crate) struct SignedInView {
    user: UserView,
    /// Access token for the header `Authorization: Bearer ...`.
    access_token: String,
    /// Refresh token, valid for one refresh; left out if it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<String>,
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Lifetime of the access token in seconds.
    expires_in: u64,
}

impl SignedInView {
    /// Creates the response to a sign-in; without the refresh token if that is in a cookie.
    pub(crate) fn new(signed_in: SignedIn, in_cookie: bool) -> Self {
        Self {
            user: signed_in.user.into(),
            access_token: signed_in.access_token,
            refresh_token: Some(signed_in.refresh_token).filter(|_| !in_cookie),
            token_type: "bearer",
            expires_in: signed_in.expires_in.as_secs(),
        }
    }
}
