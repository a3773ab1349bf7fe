//! [`IdentityStore`] with a span around each call.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sutazai_core::Result;
use sutazai_core::domain::{
    ChangedUser, Invitation, InvitationId, Session, SessionId, SpentToken, Successor, User, UserChange,
    UserCounts, UserId, UserPage, UserQuery,
};
use sutazai_core::ports::IdentityStore;

use super::database::TracedDatabase;

/// Decorator that records each call as a span in the trace of its caller.
#[derive(Debug)]
pub(super) struct TracedIdentityStore {
    pub(super) database: TracedDatabase,
    pub(super) store: Arc<dyn IdentityStore>,
}

#[async_trait]
impl IdentityStore for TracedIdentityStore {
    async fn create_user(&self, user: &User) -> Result<()> {
        self.database.traced("INSERT", "users", self.store.create_user(user)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>> {
        self.database.traced("SELECT", "users", self.store.user(id)).await
    }

    async fn user_by_login(&self, login: &str) -> Result<Option<User>> {
        self.database.traced("SELECT", "users", self.store.user_by_login(login)).await
    }

    async fn users(&self, query: &UserQuery) -> Result<UserPage> {
        self.database.traced("SELECT", "users", self.store.users(query)).await
    }

    async fn change_user(&self, id: UserId, change: &UserChange, now: DateTime<Utc>) -> Result<ChangedUser> {
        self.database.traced("UPDATE", "users", self.store.change_user(id, change, now)).await
    }

    async fn count_users(&self, active_since: DateTime<Utc>, now: DateTime<Utc>) -> Result<UserCounts> {
        self.database.traced("SELECT", "users", self.store.count_users(active_since, now)).await
    }

    async fn record_login(&self, id: UserId, at: DateTime<Utc>) -> Result<()> {
        self.database.traced("UPDATE", "users", self.store.record_login(id, at)).await
    }

    async fn delete_user(&self, id: UserId, now: DateTime<Utc>) -> Result<()> {
        self.database.traced("DELETE", "users", self.store.delete_user(id, now)).await
    }

    async fn create_invitation(&self, invitation: &Invitation) -> Result<()> {
        self.database.traced("INSERT", "invitations", self.store.create_invitation(invitation)).await
    }

    async fn invitations(&self, now: DateTime<Utc>) -> Result<Vec<Invitation>> {
        self.database.traced("SELECT", "invitations", self.store.invitations(now)).await
    }

    async fn delete_invitation(&self, id: InvitationId) -> Result<()> {
        self.database.traced("DELETE", "invitations", self.store.delete_invitation(id)).await
    }

    async fn create_invited_user(&self, user: &User, invitation_hash: &str) -> Result<()> {
        self.database.traced("INSERT", "users", self.store.create_invited_user(user, invitation_hash)).await
    }

    async fn create_session(&self, session: &Session) -> Result<Vec<SessionId>> {
        self.database.traced("INSERT", "user_sessions", self.store.create_session(session)).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>> {
        self.database.traced("SELECT", "user_sessions", self.store.session(id)).await
    }

    async fn sessions(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<Session>> {
        self.database.traced("SELECT", "user_sessions", self.store.sessions(user, now)).await
    }

    async fn rotate(
        &self,
        id: SessionId,
        expected_hash: &str,
        new: &Successor,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<()> {
        self.database
            .traced("UPDATE", "user_sessions", self.store.rotate(id, expected_hash, new, now, expires_at))
            .await
    }

    async fn spent_token(&self, id: SessionId, hash: &str) -> Result<Option<SpentToken>> {
        self.database.traced("SELECT", "spent_refresh_tokens", self.store.spent_token(id, hash)).await
    }

    async fn revoke(&self, id: SessionId, now: DateTime<Utc>) -> Result<()> {
        self.database.traced("UPDATE", "user_sessions", self.store.revoke(id, now)).await
    }

    async fn revoke_all(&self, user: UserId, now: DateTime<Utc>) -> Result<Vec<SessionId>> {
        self.database.traced("UPDATE", "user_sessions", self.store.revoke_all(user, now)).await
    }

    async fn revoked_since(&self, since: DateTime<Utc>) -> Result<Vec<SessionId>> {
        self.database.traced("SELECT", "user_sessions", self.store.revoked_since(since)).await
    }
}
