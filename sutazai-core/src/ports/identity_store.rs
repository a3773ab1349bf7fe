//! Store of users, sessions and invitations: one port, because changing a user revokes sessions in the same
//! transaction.

use std::collections::HashMap;
use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{
    ChangedUser, Invitation, InvitationId, Page, Session, SessionId, SpentToken, Successor, User, UserChange,
    UserCounts, UserId, UserQuery,
};
use crate::error::Result;

/// Store of users, their sessions and invitations.
///
/// # Contract
/// - A created user is found by id, by username and by e-mail, the latter two regardless of case.
/// - A second user with the same username or e-mail, regardless of case, is `Conflict` naming the field, and changes
///   nothing.
/// - `record_login` sets the time of the latest login and nothing else.
/// - `users` lists newest first, searches username and e-mail regardless of case, and pages without losing or repeating
///   a user.
/// - `usernames` returns the usernames of those of the given users that exist.
/// - `change_user` sets what the change names and revokes the sessions that may not survive it in the same step; an
///   unknown user is `NotFound`.
/// - At least one admin who can sign in remains under concurrent disabling, demotion and deletion: the last one is
///   `Conflict`.
/// - `create_first_admin` stores an admin if there is none, also under concurrent calls; otherwise it is `Conflict`
///   without a field, and changes nothing.
/// - `delete_user` removes a user with their sessions and the invitations that they created, and nobody else's; an
///   unknown one is `NotFound`.
/// - An invitation is valid once until it expires, also under concurrent use; an unknown, used or expired one is
///   `Forbidden` naming `invitation` and adds no user.
/// - `invitations` lists the unexpired ones, newest first, at most [`MAX_INVITATIONS`](crate::domain::MAX_INVITATIONS):
///   one more is `Conflict`; deleting an unknown one is `NotFound`.
/// - `count_users` counts all users, the disabled ones, and those with a live session that was refreshed since a given
///   time.
/// - A created session is found by its id, and revokes the user's oldest beyond
///   [`MAX_SESSIONS`](crate::domain::MAX_SESSIONS); one of a disabled or unknown user is `Conflict`.
/// - `sessions` lists a user's sessions that are neither revoked nor expired, newest first.
/// - `rotate` exchanges a hash once: of two calls with the same expected hash one succeeds and the other is `Conflict`.
/// - `spent_token` finds the hashes that `rotate` has replaced, at least the latest several hundred, and no others,
///   with the salt of the successor while the token may be repeated.
/// - `revoke` keeps the time of the first revocation; a revoked session does not rotate.
/// - `revoke_all` revokes all sessions of one user and returns those that were live before.
/// - `revoked_since` lists the sessions of all users that ended at or after a time, for any reason, including users
///   deleted in the last hours.
///
/// # Errors
/// Those of every [store](crate::ports#stores), and those that the methods name.
///
/// # Cancel safety
/// A call whose future is dropped has its whole effect or none, possibly after the drop; a read has no effect.
///
/// # Examples
///
/// ```
/// use chrono::TimeDelta;
/// use sutazai_core::Result;
/// use sutazai_core::memory::MemoryIdentityStore;
/// use sutazai_core::ports::{Clock, IdentityStore, SystemClock};
///
/// /// Counts the users, and those who were active in the last day.
/// async fn active(users: &dyn IdentityStore, clock: &dyn Clock) -> Result<(u64, u64)> {
///     let now = clock.now();
///     let counts = users.count_users(now - TimeDelta::days(1), now).await?;
///     Ok((counts.total, counts.active))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// assert_eq!(active(&MemoryIdentityStore::new(), &SystemClock).await?, (0, 0));
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
#[async_trait]
pub trait IdentityStore: Debug + Send + Sync + 'static {
    /// Stores a new user.
    ///
    /// # Errors
    /// `Conflict` naming `username` or `email` if it is taken.
    async fn create_user(&self, user: &User) -> Result<()>;

    /// Returns the user, if there is one.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// Returns the user with this username or e-mail, if there is one.
    async fn user_by_login(&self, login: &str) -> Result<Option<User>>;

    /// Returns whether there is a user with the role `admin`, disabled or not.
    async fn has_admin(&self) -> Result<bool>;

    /// Stores a new admin if there is none.
    async fn create_first_admin(&self, admin: &User) -> Result<()>;

    /// Returns one page of the users that match the query.
    async fn users(&self, query: &UserQuery) -> Result<Page<User, UserId>>;

    /// Returns the usernames of these users; unknown ones are left out.
    async fn usernames(&self, ids: &[UserId]) -> Result<HashMap<UserId, String>>;

    /// Changes a user and revokes sessions: for a new password all except the kept one, for a new role and for
    /// disabling all of them, for enabling and for a rehash none.
    ///
    /// # Errors
    /// `NotFound` for an unknown user; `Conflict` if no admin who can sign in would remain.
    async fn change_user(&self, id: UserId, change: &UserChange, now: DateTime<Utc>) -> Result<ChangedUser>;

    /// Counts users; active ones have a session that was started or refreshed at or after `active_since`.
    async fn count_users(&self, active_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<UserCounts>;

    /// Sets the time of the latest login.
    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()>;

    /// Removes a user and ends their sessions at `now`.
    ///
    /// # Errors
    /// `NotFound` for an unknown user; `Conflict` if no admin who can sign in would remain.
    async fn delete_user(&self, id: UserId, now: DateTime<Utc>) -> Result<()>;

    /// Stores a new invitation.
    ///
    /// # Errors
    /// `Conflict` if there are [`MAX_INVITATIONS`](crate::domain::MAX_INVITATIONS) valid ones.
    async fn create_invitation(&self, invitation: &Invitation) -> Result<()>;

    /// Returns the invitations that are valid at `now`, newest first.
    async fn invitations(&self, now: DateTime<Utc>) -> Result<Vec<Invitation>>;

    /// Removes the invitation with this id.
    ///
    /// # Errors
    /// `NotFound` for an unknown invitation.
    async fn delete_invitation(&self, id: InvitationId) -> Result<()>;

    /// Stores a new user and removes the invitation with this hash in one step, if it is valid when the user registers.
    ///
    /// # Errors
    /// Those of [`create_user`](Self::create_user); `Forbidden` naming `invitation` if it is unknown, used or
    /// expired.
    async fn create_invited_user(&self, user: &User, invitation_hash: &str) -> Result<()>;

    /// Stores a new session; removes the user's sessions that had expired by then, and returns the sessions that it
    /// revoked.
    ///
    /// # Errors
    /// `Conflict` if the user is disabled or unknown.
    async fn create_session(&self, session: &Session) -> Result<Vec<SessionId>>;

    /// Returns the session, if there is one.
    async fn session(&self, id: SessionId) -> Result<Option<Session>>;

    /// Returns the user's sessions that are valid at `now`.
    async fn sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>>;

    /// Replaces `expected_hash` by the hash of `new`, and sets a new expiry.
    ///
    /// # Errors
    /// `Conflict` if the session is unknown or revoked, or has another hash.
    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new: &Successor,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()>;

    /// Returns the refresh token with this hash, if the session has replaced it. Its salt is removed by the first
    /// rotation more than [`REFRESH_REPEAT_WINDOW`](crate::adapter::REFRESH_REPEAT_WINDOW) later.
    async fn spent_token(&self, id: SessionId, hash: &str) -> Result<Option<SpentToken>>;

    /// Revokes a session; it does not rotate afterwards.
    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()>;

    /// Revokes all sessions of a user and returns those that were live.
    async fn revoke_all(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SessionId>>;

    /// Returns the sessions that ended at or after `since`.
    async fn revoked_since(&self, since: DateTime<Utc>) -> Result<Vec<SessionId>>;
}
