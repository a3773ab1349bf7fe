//! The sessions of a user: seeing them, and ending one or all.

use crate::domain::{Session, SessionId, UserId};
use crate::error::{Error, Result};
use crate::identity::Identity;

impl Identity {
    /// A user's sessions that have not ended, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<Session>> {
        self.store.sessions(user, self.clock.now()).await
    }

    /// Ends a session: its refresh token is spent, its access tokens are refused by this process from now on, and by
    /// others once they have heard of it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn logout(&self, session: SessionId) -> Result<()> {
        self.store.revoke(session, self.clock.now()).await?;
        self.refuse(&[session]);
        Ok(())
    }

    /// Ends one session of a user.
    ///
    /// # Errors
    /// `NotFound`, also for a session of somebody else and for one that has ended.
    pub async fn end_session(&self, user: UserId, session: SessionId) -> Result<()> {
        let now = self.clock.now();
        let theirs = |s: &Session| s.user == user && s.revoked_at.is_none() && s.expires_at > now;
        if !self.store.session(session).await?.as_ref().is_some_and(theirs) {
            return Err(Error::not_found(format!("session {session}")));
        }
        self.logout(session).await
    }

    /// Ends all sessions of a user; gives how many that were.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn logout_all(&self, user: UserId) -> Result<usize> {
        let ended = self.store.revoke_all(user, self.clock.now()).await?;
        self.refuse(&ended);
        tracing::info!(user_id = %user, sessions = ended.len(), "all sessions of a user were ended");
        Ok(ended.len())
    }

    /// Refuses the access tokens of these sessions from now on.
    pub(super) fn refuse(&self, sessions: &[SessionId]) {
        let now = self.clock.now();
        self.revoked.add(sessions, now, now + self.config.access_ttl);
    }
}
