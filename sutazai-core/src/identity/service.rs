//! The type that all use cases of identity are methods of; each has a file of its own beside this one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccessPolicy, Caller, User, UserId};
use crate::error::{Error, Result};
use crate::identity::delete_user::UserData;
use crate::identity::hash_queue::HashQueue;
use crate::identity::known_keys::KnownKeys;
use crate::identity::revoked::RevokedSessions;
use crate::identity::throttle::AccountThrottle;
use crate::ports::{AccessClaims, ApiKeyStore, Cache, Clock, IdentityStore, PasswordHasher, TokenSigner};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How long tokens and sessions live, who may register, and which permissions users have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityConfig {
    /// The life of an access token; default 30 minutes.
    pub access_ttl: Duration,
    /// The life of a refresh token, counted anew at each refresh; default 7 days.
    pub refresh_ttl: Duration,
    /// The longest life of a session, however often it is refreshed; default 90 days.
    pub session_ttl: Duration,
    /// The same of an admin's session; default 7 days.
    pub admin_session_ttl: Duration,
    /// Whether anybody may register; otherwise only who has an invitation. Default true.
    pub open_registration: bool,
    /// Which permissions users have: their API keys get no more.
    pub access: AccessPolicy,
}

impl Default for IdentityConfig {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(30 * 60),
            refresh_ttl: 7 * DAY,
            session_ttl: 90 * DAY,
            admin_session_ttl: 7 * DAY,
            open_registration: true,
            access: AccessPolicy::default(),
        }
    }
}

/// Somebody who has just signed in, or whose session was prolonged.
#[derive(Clone, PartialEq)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// Proves it at each request.
    pub access_token: String,
    /// Good for one refresh.
    pub refresh_token: String,
    /// How long the access token lives.
    pub expires_in: Duration,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("user", &self.user)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// Whom an access token proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authenticated {
    /// As the engine knows them.
    pub caller: Caller,
    /// All that the token says.
    pub claims: AccessClaims,
}

/// The use cases of identity. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Identity {
    pub(super) store: Arc<dyn IdentityStore>,
    pub(super) keys: Arc<dyn ApiKeyStore>,
    pub(super) hasher: Arc<dyn PasswordHasher>,
    pub(super) signer: Arc<dyn TokenSigner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: IdentityConfig,
    pub(super) revoked: Arc<RevokedSessions>,
    pub(super) known_keys: Arc<KnownKeys>,
    pub(super) cache: Option<Arc<dyn Cache>>,
    pub(super) data: Option<UserData>,
    pub(super) hashing: HashQueue,
    pub(super) throttle: Arc<AccountThrottle>,
}

impl Identity {
    /// Identity over these ports.
    pub fn new(
        store: Arc<dyn IdentityStore>,
        keys: Arc<dyn ApiKeyStore>,
        hasher: Arc<dyn PasswordHasher>,
        signer: Arc<dyn TokenSigner>,
        clock: Arc<dyn Clock>,
        config: IdentityConfig,
    ) -> Self {
        Self {
            store,
            keys,
            hasher,
            signer,
            clock,
            config,
            revoked: Arc::default(),
            known_keys: Arc::default(),
            cache: None,
            data: None,
            hashing: HashQueue::new(),
            throttle: Arc::default(),
        }
    }

    /// Tells other servers through this cache at once which sessions have ended.
    pub fn with_cache(self, cache: Arc<dyn Cache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Deletes users with what they have in these stores.
    pub fn with_data(self, data: UserData) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The user.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn user(&self, id: UserId) -> Result<User> {
        self.store.user(id).await?.ok_or_else(|| Error::not_found("user"))
    }
}
