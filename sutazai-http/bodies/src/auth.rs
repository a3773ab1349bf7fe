//! Sign-in, users and tokens.

use std::borrow::Cow;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{User, UserId, UserRole};
use sutazai_core::identity::SignedIn;
use utoipa::ToSchema;

use crate::vocabulary::RoleWord;

/// Request to sign in.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Username or e-mail address.
    #[schema(example = "ada")]
    pub login: String,
    #[schema(example = "correct horse battery")]
    #[expect(missing_docs, reason = "a comment would be published as its description")]
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// Request to exchange a refresh token for new tokens.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// Refresh token of the latest sign-in or refresh of the session; required unless it is in the cookie.
    pub refresh_token: Option<String>,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refresh")
    }
}

/// User as shown to themselves.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
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
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInView {
    user: UserView,
    /// Access token for the header `Authorization: Bearer ...`.
    pub access_token: String,
    /// Refresh token, valid for one refresh; left out if it is in the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub refresh_token: Option<String>,
    #[schema(example = "bearer", value_type = String)]
    token_type: Cow<'static, str>,
    /// Lifetime of the access token in seconds.
    pub expires_in: u64,
}

impl fmt::Debug for SignedInView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedInView")
    }
}

impl SignedInView {
    /// Creates the response to a sign-in; without the refresh token if that is in a cookie.
    pub fn new(signed_in: SignedIn, in_cookie: bool) -> Self {
        Self {
            user: signed_in.user.into(),
            access_token: signed_in.access_token,
            refresh_token: Some(signed_in.refresh_token).filter(|_| !in_cookie),
            token_type: "bearer".into(),
            expires_in: signed_in.expires_in.as_secs(),
        }
    }
}
