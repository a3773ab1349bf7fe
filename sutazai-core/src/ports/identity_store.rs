//! Where users and their sessions live: in one place, because a change of a user ends sessions in the same step.

use std::fmt::Debug;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::{
    ChangedUser, Invitation, InvitationId, Session, SessionId, SpentToken, Successor, User, UserChange,
    UserCounts, UserId, UserPage, UserQuery,
};
use crate::error::Result;

/// The identity store.
///
/// # Contract
/// - A created user can be read by id, by username and by e-mail, the latter two whatever their case.
/// - A second user of the same username or e-mail, whatever its case, is `Conflict` naming the field, and changes nothing.
/// - `record_login` sets the time of the latest login and nothing else.
/// - `users` is newest first, finds text in username and e-mail whatever its case, and pages without losing or doubling a user.
/// - `change_user` sets what it names and nothing else, and ends in the same step the sessions that may not outlive it: at a new password all but the kept one, at a new role and at disabling all, at enabling and at a new hash of the same password none; an unknown user is `NotFound`.
/// - There is always an admin left who can sign in, however many are disabled, demoted and deleted at once: the last one is `Conflict`, and stays.
/// - `delete_user` removes a user with their sessions and the invitations that they made, and nobody else's; an unknown one is `NotFound`.
/// - An invitation is good once, until it expires: `create_invited_user` adds the user and removes it in one step, of two calls at once one succeeds; one that is unknown, used or expired is `Forbidden` naming `invitation`, and adds nobody.
/// - `invitations` gives those that have not expired, newest first, of which there are at most [`MAX_INVITATIONS`](crate::domain::MAX_INVITATIONS); one more is `Conflict`. `delete_invitation` removes one; one that is not there is `NotFound`.
/// - `count_users` counts all, the disabled, and those with a session that has not ended and was refreshed since a time.
/// - A created session can be read by its id; one of a disabled or unknown user is `Conflict`; with it those of the same user are forgotten that had expired by then, and the oldest end of those over [`MAX_SESSIONS`](crate::domain::MAX_SESSIONS), which it gives.
/// - `sessions` gives a user's sessions that are neither revoked nor expired, newest first.
/// - `rotate` exchanges the hash once: of two calls with the same expected hash one succeeds and the other is `Conflict`.
/// - `spent_token` tells the hashes that `rotate` has exchanged for another, the latest hundreds at least, and no other; with each the
///   salt of its successor, until a rotation more than [`REFRESH_REPEAT_WINDOW`](crate::domain::REFRESH_REPEAT_WINDOW) later
///   removes it.
/// - `revoke` keeps the first time of revocation; a revoked session does not rotate.
/// - `revoke_all` ends all sessions of one user and gives those that had not ended before.
/// - `revoked_since` gives the sessions of all users that ended at or after a time, by whatever means, also by the deletion of their user in the last hours.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait IdentityStore: Debug + Send + Sync + 'static {
    /// Adds a user.
    async fn create_user(&self, user: &User) -> Result<()>;

    /// The user, if there is one.
    async fn user(&self, id: UserId) -> Result<Option<User>>;

    /// The user with this username or e-mail, if there is one.
    async fn user_by_login(&self, login: &str) -> Result<Option<User>>;

    /// A page of the users that fit the query.
    async fn users(&self, query: &UserQuery) -> Result<UserPage>;

    /// Changes a user.
    async fn change_user(&self, id: UserId, change: &UserChange, now: DateTime<Utc>) -> Result<ChangedUser>;

    /// How many users there are; active are those whose session was begun or refreshed at or after `active_since`.
    async fn count_users(&self, active_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<UserCounts>;

    /// Sets the time of the latest login.
    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()>;

    /// Removes a user; `now` is when their sessions end.
    async fn delete_user(&self, id: UserId, now: DateTime<Utc>) -> Result<()>;

    /// Adds an invitation.
    async fn create_invitation(&self, invitation: &Invitation) -> Result<()>;

    /// The invitations that are good at `now`.
    async fn invitations(&self, now: DateTime<Utc>) -> Result<Vec<Invitation>>;

    /// Removes an invitation.
    async fn delete_invitation(&self, id: InvitationId) -> Result<()>;

    /// Adds a user who has the invitation with this hash, at the time at which they register.
    async fn create_invited_user(&self, user: &User, invitation_hash: &str) -> Result<()>;

    /// Adds a session; gives those that it ended.
    async fn create_session(&self, session: &Session) -> Result<Vec<SessionId>>;

    /// The session, if there is one.
    async fn session(&self, id: SessionId) -> Result<Option<Session>>;

    /// The user's sessions that are good at `now`.
    async fn sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>>;

    /// Puts the hash of `new` in the place of `expected_hash` and moves the end of the session.
    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new: &Successor,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()>;

    /// The refresh token with this hash, if it was one of the session's before its current one.
    async fn spent_token(&self, id: SessionId, hash: &str) -> Result<Option<SpentToken>>;

    /// Ends a session.
    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()>;

    /// Ends all sessions of a user.
    async fn revoke_all(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SessionId>>;

    /// The sessions that ended at or after `since`.
    async fn revoked_since(&self, since: DateTime<Utc>) -> Result<Vec<SessionId>>;
}
