//! The type whose methods are the use cases of identity; each use case has a file of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{AccessPolicy, Caller, User, UserId};
use crate::error::{Error, Result};
use crate::identity::api_key_cache::ApiKeyCache;
use crate::identity::delete_user::UserData;
use crate::identity::hash_queue::HashQueue;
use crate::identity::revoked::RevokedSessions;
use crate::identity::setup::Setup;
use crate::identity::throttle::AccountThrottle;
use crate::ports::{AccessClaims, ApiKeyStore, Cache, Clock, IdentityStore, PasswordHasher, TokenSigner};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Lifetimes of tokens and sessions, registration, and the permissions of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdentityConfig {
    /// Lifetime of an access token; default 30 minutes.
    pub access_ttl: Duration,
    /// Lifetime of a refresh token, restarted at each refresh; default 7 days.
    pub refresh_ttl: Duration,
    /// Maximum lifetime of a session, however often it is refreshed; default 90 days.
    pub session_ttl: Duration,
    /// Maximum lifetime of an admin's session; default 7 days.
    pub admin_session_ttl: Duration,
    /// Lets anybody register; otherwise only holders of an invitation can. Default true.
    pub open_registration: bool,
    /// Permissions of the role `user`, which also bound the scopes of API keys.
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

/// Result of signing in or refreshing a session.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct SignedIn {
    /// The user who is signed in.
    pub user: User,
    /// Access token to send with each request.
    pub access_token: String,
    /// Refresh token, valid for one refresh.
    pub refresh_token: String,
    /// Lifetime of the access token.
    pub expires_in: Duration,
    /// Lifetime of the refresh token.
    pub refresh_expires_in: Duration,
}

impl fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedIn")
            .field("user", &self.user)
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}

/// Result of authenticating an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authenticated {
    /// Caller for the engine and the use cases.
    pub caller: Caller,
    /// All claims of the token.
    pub claims: AccessClaims,
}

/// Use cases of identity. Cheap to clone; all clones share their state.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use async_trait::async_trait;
/// # use sutazai_core::Result;
/// # use sutazai_core::domain::{NewUser, UserRole};
/// # use sutazai_core::engine::Engine;
/// # use sutazai_core::identity::{Identity, IdentityConfig};
/// # use sutazai_core::memory::{MemoryApiKeyStore, MemoryIdentityStore};
/// # use sutazai_core::ports::{AccessClaims, PasswordHasher, SystemClock, TokenSigner};
/// # // Stand-ins: `sutazai::http::auth` has argon2id and JWT.
/// # #[derive(Debug)]
/// # struct Hasher;
/// # #[async_trait]
/// # impl PasswordHasher for Hasher {
/// #     async fn hash(&self, password: &str) -> Result<String> {
/// #         Ok(password.chars().rev().collect())
/// #     }
/// #     async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
/// #         Ok(hash == Some(self.hash(password).await?))
/// #     }
/// #     fn is_outdated(&self, _: &str) -> bool {
/// #         false
/// #     }
/// # }
/// # #[derive(Debug)]
/// # struct Signer;
/// # impl TokenSigner for Signer {
/// #     fn sign(&self, claims: &AccessClaims) -> Result<String> {
/// #         serde_json::to_string(claims).map_err(sutazai_core::Error::json)
/// #     }
/// #     fn verify(&self, token: &str, _: i64) -> Result<AccessClaims> {
/// #         serde_json::from_str(token).map_err(sutazai_core::Error::json)
/// #     }
/// #     fn is_own(&self, _: &str) -> bool {
/// #         true
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let (users, keys) = (Arc::new(MemoryIdentityStore::new()), Arc::new(MemoryApiKeyStore::new()));
/// let (hasher, signer) = (Arc::new(Hasher), Arc::new(Signer));
/// let config = IdentityConfig::default();
/// let identity = Identity::new(users, keys, hasher, signer, Arc::new(SystemClock), config);
/// let engine = Engine::builder().identity(identity.clone()).start().await?;
///
/// let new = NewUser {
///     username: "ada".into(),
///     email: "ada@example.org".into(),
///     password: "correct horse battery".into(),
/// };
/// identity.create_user(new, UserRole::User).await?;
/// let signed_in = identity.login("ada", "correct horse battery", None).await?;
/// let caller = identity.authenticate(&signed_in.access_token)?.caller;
/// assert_eq!(caller.owner(), Some(signed_in.user.id));
/// engine.shutdown().await
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Identity {
    pub(super) store: Arc<dyn IdentityStore>,
    pub(super) keys: Arc<dyn ApiKeyStore>,
    pub(super) hasher: Arc<dyn PasswordHasher>,
    pub(super) signer: Arc<dyn TokenSigner>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) config: IdentityConfig,
    pub(super) revoked: Arc<RevokedSessions>,
    pub(super) api_key_cache: Arc<ApiKeyCache>,
    pub(super) cache: Option<Arc<dyn Cache>>,
    pub(super) data: Option<UserData>,
    pub(super) hashing: HashQueue,
    pub(super) throttle: Arc<AccountThrottle>,
    pub(super) setup: Arc<Setup>,
}

impl Identity {
    /// Creates the use cases over these ports.
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
            api_key_cache: Arc::default(),
            cache: None,
            data: None,
            hashing: HashQueue::new(),
            throttle: Arc::default(),
            setup: Arc::default(),
        }
    }

    /// Announces revoked sessions to other servers through this cache at once.
    #[must_use]
    pub fn cache(self, cache: Arc<dyn Cache>) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// Deletes the data in these stores together with their users.
    #[must_use]
    pub fn data(self, data: UserData) -> Self {
        Self { data: Some(data), ..self }
    }

    /// Returns the store of users and sessions.
    pub(crate) fn store(&self) -> Arc<dyn IdentityStore> {
        self.store.clone()
    }

    /// Returns the user with this id.
    ///
    /// # Errors
    /// `NotFound` if there is no user with this id.
    pub async fn user(&self, id: UserId) -> Result<User> {
        self.store.user(id).await?.ok_or_else(|| Error::not_found("user"))
    }
}
