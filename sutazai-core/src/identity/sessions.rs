//! Sessions of a user: listing, and revoking one or all of them.

use std::time::Duration;

use futures::future::join_all;

use crate::domain::{Session, SessionId, UserId, later};
use crate::error::{Error, Result};
use crate::identity::Identity;

/// Value in the cache that marks a session as revoked.
const ENDED: &str = "ended";
/// Time to live of the mark; by then every server has read the revocation from the store.
const LIFE: Duration = Duration::from_secs(3_600);

impl Identity {
    /// Returns a user's live sessions, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<Session>> {
        self.store.sessions(user, self.clock.now()).await
    }

    /// Revokes a session: its refresh token becomes invalid, and its access tokens are rejected by this process at
    /// once, by others once they have read the revocation.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn logout(&self, session: SessionId) -> Result<()> {
        self.store.revoke(session, self.clock.now()).await?;
        self.refuse(&[session]).await;
        Ok(())
    }

    /// Revokes one session of a user.
    ///
    /// # Errors
    /// `NotFound`, also for a session of another user and for one that has already ended.
    pub async fn end_session(&self, user: UserId, session: SessionId) -> Result<()> {
        let now = self.clock.now();
        let theirs = |s: &Session| s.user == user && s.revoked_at.is_none() && s.expires_at > now;
        if !self.store.session(session).await?.as_ref().is_some_and(theirs) {
            return Err(Error::not_found(format!("session {session}")));
        }
        self.logout(session).await
    }

    /// Revokes all sessions of a user; returns their number.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn logout_all(&self, user: UserId) -> Result<usize> {
        let ended = self.store.revoke_all(user, self.clock.now()).await?;
        self.refuse(&ended).await;
        tracing::info!(user_id = %user, sessions = ended.len(), "all sessions of a user ended");
        Ok(ended.len())
    }

    /// Rejects the access tokens of these sessions from now on, in this process and in those that share the cache.
    pub(super) async fn refuse(&self, sessions: &[SessionId]) {
        self.refuse_here(sessions);
        if let Some(cache) = &self.cache {
            let keys: Vec<String> = sessions.iter().map(key).collect();
            // A failing cache logs its errors itself; other servers then read the revocation from the store a little
            // later.
            join_all(keys.iter().map(|key| cache.put(key, ENDED, LIFE))).await;
        }
    }

    /// Rejects the access tokens of these sessions in this process from now on.
    pub(super) fn refuse_here(&self, sessions: &[SessionId]) {
        let now = self.clock.now();
        self.revoked.add(sessions, now, later(now, self.config.access_ttl));
    }

    /// Returns whether another server has marked the session as revoked in the cache.
    pub(super) async fn ended_elsewhere(&self, session: SessionId) -> bool {
        let Some(cache) = &self.cache else { return false };
        let ended = matches!(cache.get(&key(&session)).await, Ok(Some(state)) if state == ENDED);
        if ended {
            self.refuse_here(&[session]);
        }
        ended
    }
}

fn key(session: &SessionId) -> String {
    format!("session:{session}")
}
