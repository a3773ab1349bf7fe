//! The sessions of a user: seeing them, and ending one or all.

use std::time::Duration;

use futures::future::join_all;

use crate::domain::{Session, SessionId, UserId, later};
use crate::error::{Error, Result};
use crate::identity::Identity;

/// What the cache holds of a session that has ended.
const ENDED: &str = "ended";
/// How long it does: by then every server has heard of it from the store.
const LIFE: Duration = Duration::from_secs(3_600);

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
        self.refuse(&[session]).await;
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
        self.refuse(&ended).await;
        tracing::info!(user_id = %user, sessions = ended.len(), "all sessions of a user were ended");
        Ok(ended.len())
    }

    /// Refuses the access tokens of these sessions from now on, and has other servers refuse them that share the cache.
    pub(super) async fn refuse(&self, sessions: &[SessionId]) {
        self.refuse_here(sessions);
        if let Some(cache) = &self.cache {
            let keys: Vec<String> = sessions.iter().map(key).collect();
            // A cache that fails has said so itself; others hear of it from the store, a little later.
            join_all(keys.iter().map(|key| cache.put(key, ENDED, LIFE))).await;
        }
    }

    /// Refuses the access tokens of these sessions in this process from now on.
    pub(super) fn refuse_here(&self, sessions: &[SessionId]) {
        let now = self.clock.now();
        self.revoked.add(sessions, now, later(now, self.config.access_ttl));
    }

    /// Whether another server says that the session has ended.
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
