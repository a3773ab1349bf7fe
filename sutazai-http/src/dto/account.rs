//! A user's own sessions, keys and password.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{ApiKey, ApiKeyId, NewApiKey, Scope, Session, SessionId};
use sutazai_core::identity::{ChangedPassword, CreatedApiKey};
use utoipa::ToSchema;

use crate::document::words::ScopeWord;
use crate::dto::time::time;

/// A change of password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    pub(crate) current_password: String,
    #[schema(min_length = 8)]
    pub(crate) new_password: String,
    /// Whether all API keys end too.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(crate) revoke_keys: bool,
}

fn yes() -> bool {
    true
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangePassword")
    }
}

/// What ended with a password.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasswordChanged {
    /// Sessions.
    ended: usize,
    /// API keys.
    revoked_keys: u64,
}

impl From<ChangedPassword> for PasswordChanged {
    fn from(changed: ChangedPassword) -> Self {
        Self { ended: changed.ended_sessions, revoked_keys: changed.revoked_keys }
    }
}

/// The deletion of one's own user.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteMe {
    pub(crate) password: String,
}

impl fmt::Debug for DeleteMe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeleteMe")
    }
}

/// Where a user is signed in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    #[schema(value_type = Uuid)]
    id: SessionId,
    created_at: DateTime<Utc>,
    /// To the life of an access token: the store hears of a session when it is refreshed.
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// What the program that signed in calls itself.
    user_agent: Option<String>,
    /// Whether this very request belongs to it.
    current: bool,
}

/// Somebody's sessions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionList {
    items: Vec<SessionView>,
}

impl SessionList {
    pub(crate) fn new(sessions: Vec<Session>, current: Option<SessionId>) -> Self {
        let view = |session: Session| SessionView {
            id: session.id,
            created_at: session.created_at,
            last_used_at: session.refreshed_at,
            expires_at: session.expires_at,
            user_agent: session.user_agent,
            current: Some(session.id) == current,
        };
        Self { items: sessions.into_iter().map(view).collect() }
    }
}

/// Nothing more to say.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nothing {}

/// How many sessions have ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedSessions {
    pub(crate) ended: usize,
}

/// A request for an API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What its user calls it.
    #[schema(min_length = 1, max_length = 100, example = "nightly report")]
    name: String,
    #[schema(value_type = Vec<ScopeWord>, min_items = 1)]
    scopes: Vec<Scope>,
    /// From when on it is refused, a year from now at most, to the microsecond; null or left out: 90 days from now.
    #[serde(default, deserialize_with = "time")]
    expires_at: Option<DateTime<Utc>>,
    /// So many requests a minute it may make, where the server allows more; null or left out: as many as the server
    /// allows.
    #[schema(value_type = Option<u32>, minimum = 1, example = 30)]
    requests_per_minute: Option<NonZeroU32>,
    /// The user's password; not needed within five minutes of the sign-in.
    pub(crate) password: Option<String>,
}

impl fmt::Debug for CreateApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<CreateApiKey> for NewApiKey {
    fn from(body: CreateApiKey) -> Self {
        let CreateApiKey { name, scopes, expires_at, requests_per_minute, password: _ } = body;
        Self { name, scopes, expires_at, requests_per_minute }
    }
}

/// An API key as its user sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyView {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    name: String,
    /// How the key begins.
    prefix: String,
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<Scope>,
    /// So many requests a minute it may make, where the server allows more.
    #[schema(value_type = Option<u32>, minimum = 1)]
    requests_per_minute: Option<NonZeroU32>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
}

impl From<ApiKey> for ApiKeyView {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            scopes: key.scopes,
            requests_per_minute: key.requests_per_minute,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// Somebody's API keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    items: Vec<ApiKeyView>,
}

impl From<Vec<ApiKey>> for ApiKeyList {
    fn from(keys: Vec<ApiKey>) -> Self {
        Self { items: keys.into_iter().map(ApiKeyView::from).collect() }
    }
}

/// The one answer that holds a key.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub(crate) struct CreatedApiKeyView {
    #[serde(flatten)]
    view: ApiKeyView,
    /// The key itself; it is never shown again.
    key: String,
}

impl From<CreatedApiKey> for CreatedApiKeyView {
    fn from(created: CreatedApiKey) -> Self {
        Self { view: created.key.into(), key: created.text }
    }
}
