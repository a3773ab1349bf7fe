//! Sessions, API keys and the password of the caller's own account.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_bodies::time::time;
use sutazai_bodies::vocabulary::ScopeWord;
use sutazai_core::domain::{ApiKey, ApiKeyId, NewApiKey, Scope, Session, SessionId};
use sutazai_core::identity::{ChangedPassword, CreatedApiKey};
use utoipa::ToSchema;

/// Request to change the password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    pub(crate) current_password: String,
    #[schema(min_length = 8)]
    pub(crate) new_password: String,
    /// True to delete all API keys too.
    #[serde(default = "default_revoke_keys")]
    #[schema(default = true)]
    pub(crate) revoke_keys: bool,
}

fn default_revoke_keys() -> bool {
    true
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangePassword")
    }
}

/// Numbers of sessions and API keys that a change of password revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PasswordChanged {
    /// Number of sessions that were ended, other than that of the request.
    ended: usize,
    /// Number of API keys that were deleted.
    revoked_keys: u64,
}

impl From<ChangedPassword> for PasswordChanged {
    fn from(changed: ChangedPassword) -> Self {
        Self { ended: changed.ended_sessions, revoked_keys: changed.revoked_keys }
    }
}

/// Request to delete the caller's own user.
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

/// Session of a user, which one sign-in started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
struct SessionView {
    #[schema(value_type = Uuid)]
    id: SessionId,
    created_at: DateTime<Utc>,
    /// Time of the last use, accurate to the lifetime of an access token: only a refresh updates it.
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    /// `User-Agent` of the client that signed in.
    user_agent: Option<String>,
    /// True for the session of this request.
    current: bool,
}

/// List of sessions, newest first.
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

/// Empty object as response data.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nothing {}

/// Number of sessions that were ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedSessions {
    pub(crate) ended: usize,
}

/// Request to create an API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// Name of the key, chosen by the user.
    #[schema(min_length = 1, max_length = 100, example = "nightly report")]
    name: String,
    #[schema(value_type = Vec<ScopeWord>, min_items = 1)]
    scopes: Vec<Scope>,
    /// Time from which the key is rejected, at most one year from now, with microsecond precision; null or left out:
    /// 90 days from now.
    #[serde(default, deserialize_with = "time")]
    expires_at: Option<DateTime<Utc>>,
    /// Maximum number of requests per minute with this key; applies where it is below the limit of the server. Null
    /// or left out: the limit of the server.
    #[schema(value_type = Option<u32>, minimum = 1, example = 30)]
    requests_per_minute: Option<NonZeroU32>,
    /// Password of the user; not required within five minutes after sign-in.
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

/// API key without its plaintext.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKey)]
pub(crate) struct ApiKeyView {
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    name: String,
    /// Prefix of the key, to recognize it.
    prefix: String,
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<Scope>,
    /// Maximum number of requests per minute with this key; applies where it is below the limit of the server.
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

/// List of API keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    items: Vec<ApiKeyView>,
}

impl From<Vec<ApiKey>> for ApiKeyList {
    fn from(keys: Vec<ApiKey>) -> Self {
        Self { items: keys.into_iter().map(ApiKeyView::from).collect() }
    }
}

/// Created API key with its plaintext.
#[derive(Serialize, ToSchema)]
#[schema(as = CreatedApiKey)]
pub(crate) struct CreatedApiKeyView {
    #[serde(flatten)]
    view: ApiKeyView,
    /// Plaintext of the key; it is never shown again.
    key: String,
}

impl From<CreatedApiKey> for CreatedApiKeyView {
    fn from(created: CreatedApiKey) -> Self {
        Self { view: created.key.into(), key: created.text }
    }
}
