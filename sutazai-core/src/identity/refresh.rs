//! Prolonging a session.

use chrono::{DateTime, Utc};

use crate::domain::{SessionId, User, UserRole, later};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::refresh_token::RefreshToken;
use crate::identity::{Identity, SignedIn};

impl Identity {
    /// Exchanges a refresh token for a new pair of tokens. A token that was exchanged before ends its session: either its
    /// holder or a thief used a copy, and nobody can tell which. One that the session never had ends nothing, or whoever
    /// knows the id of a session could. The session ends at its longest life, whatever its refreshes.
    ///
    /// # Errors
    /// `Unauthenticated`, without saying why.
    pub async fn refresh(&self, refresh_token: &str) -> Result<SignedIn> {
        let presented = RefreshToken::parse(refresh_token).ok_or_else(refused)?;
        let now = self.clock.now();
        let session = self.store.session(presented.session()).await?;
        let session = session.filter(|s| s.revoked_at.is_none() && s.expires_at > now).ok_or_else(refused)?;
        if session.refresh_hash != presented.hash() {
            if self.store.was_replaced(session.id, &presented.hash()).await? {
                return self.end_reused(session.id).await;
            }
            return Err(refused());
        }
        let user = self.store.user(session.user).await?.filter(|user| !user.disabled).ok_or_else(refused)?;
        let next = RefreshToken::generate(session.id);
        let expires_at = self.session_end(&user, session.created_at, now);
        if expires_at <= now {
            return Err(refused());
        }
        match self.store.rotate(session.id, &session.refresh_hash, &next.hash(), now, expires_at).await {
            Ok(()) => self.signed_in(user, next),
            // Somebody else was faster with the same token.
            Err(e) if e.kind() == ErrorKind::Conflict => self.end_reused(session.id).await,
            Err(e) => Err(e),
        }
    }

    async fn end_reused(&self, session: SessionId) -> Result<SignedIn> {
        tracing::warn!(session_id = %session, "a spent refresh token came back: the session is ended");
        self.logout(session).await?;
        Err(refused())
    }

    /// When a session of this user ends that began at `begun` and is prolonged now.
    pub(super) fn session_end(&self, user: &User, begun: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let longest = match user.role {
            UserRole::Admin => self.config.admin_session_ttl,
            UserRole::User => self.config.session_ttl,
        };
        later(now, self.config.refresh_ttl).min(later(begun, longest))
    }

    pub(super) fn signed_in(&self, user: User, token: RefreshToken) -> Result<SignedIn> {
        let access_token = self.sign_access_token(&user, token.session())?;
        Ok(SignedIn { user, access_token, refresh_token: token.expose(), expires_in: self.config.access_ttl })
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "the refresh token is not good; sign in again")
}
