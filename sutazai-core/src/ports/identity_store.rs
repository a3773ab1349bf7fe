//! Where users and their sessions live.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{Session, SessionId, User, UserId};
use crate::error::Result;

/// The identity store.
///
/// # Contract
/// - A created user can be read by id, by username and by e-mail, the latter two whatever their case.
/// - A second user of the same username or e-mail, whatever its case, is `Conflict` naming the field, and changes nothing.
/// - `record_login` sets the time of the latest login and nothing else.
/// - A created session can be read by its id.
/// - `rotate` exchanges the hash once: of two calls with the same expected hash one succeeds and the other is `Conflict`.
/// - `revoke` keeps the first time of revocation; a revoked session does not rotate.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait IdentityStore: Debug + Send + Sync + 'static {
    /// Adds a user.
    async fn create_user(&self, user: &User) -> Result<()>;

    /// The user, if there is one.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The user with this username or e-mail, if there is one.
    async fn user_by_login(&self, login: &str) -> Result<Option<User>>;

    /// Sets the time of the latest login.
    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()>;

    /// Adds a session.
    async fn create_session(&self, session: &Session) -> Result<()>;

    /// The session, if there is one.
    async fn session(&self, id: SessionId) -> Result<Option<Session>>;

    /// Puts `new_hash` in the place of `expected_hash` and moves the end of the session.
    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new_hash: &str,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()>;

    /// Ends a session.
    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()>;
}
