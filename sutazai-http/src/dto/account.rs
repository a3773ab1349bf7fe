//! A user's own sessions, keys and password.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sutazai_core::domain::{ApiKey, ApiKeyId, Scope, Session, SessionId};
use sutazai_core::identity::CreatedApiKey;

/// The body of a change of password.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    pub(crate) current_password: String,
    pub(crate) new_password: String,
}

impl fmt::Debug for ChangePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChangePassword")
    }
}

/// A session as its user and admins see it.
#[derive(Debug, Serialize)]
struct SessionView {
    id: SessionId,
    created_at: DateTime<Utc>,
    /// To the life of an access token: the store hears of a session when it is refreshed.
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    user_agent: Option<String>,
    /// Whether this very request belongs to it.
    current: bool,
}

/// Somebody's sessions.
#[derive(Debug, Serialize)]
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

/// An API key as its user sees it.
#[derive(Debug, Serialize)]
pub(crate) struct ApiKeyView {
    id: ApiKeyId,
    name: String,
    /// How the key begins.
    prefix: String,
    scopes: Vec<Scope>,
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
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
        }
    }
}

/// The one answer that holds a key.
#[derive(Serialize)]
pub(crate) struct CreatedApiKeyView {
    #[serde(flatten)]
    view: ApiKeyView,
    key: String,
}

impl From<CreatedApiKey> for CreatedApiKeyView {
    fn from(created: CreatedApiKey) -> Self {
        Self { view: created.key.into(), key: created.text }
    }
}
