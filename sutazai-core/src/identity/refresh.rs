//! Prolonging a session.

use crate::domain::{SessionId, User};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::refresh_token::RefreshToken;
use crate::identity::{Identity, SignedIn};

impl Identity {
    /// Exchanges a refresh token for a new pair of tokens. A token of the session that is not its latest ends the
    /// session: either its holder or a thief used a copy, and nobody can tell which.
    ///
    /// # Errors
    /// `Unauthenticated`, without saying why.
    pub async fn refresh(&self, refresh_token: &str) -> Result<SignedIn> {
        let presented = RefreshToken::parse(refresh_token).ok_or_else(refused)?;
        let now = self.clock.now();
        let session = self.store.session(presented.session()).await?;
        let session = session.filter(|s| s.revoked_at.is_none() && s.expires_at > now).ok_or_else(refused)?;
        if session.refresh_hash != presented.hash() {
            return self.end_reused(session.id).await;
        }
        let user = self.store.user(session.user).await?.filter(|user| !user.disabled).ok_or_else(refused)?;
        let next = RefreshToken::generate(session.id);
        let expires_at = now + self.config.refresh_ttl;
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

    pub(super) fn signed_in(&self, user: User, token: RefreshToken) -> Result<SignedIn> {
        let access_token = self.sign_access_token(&user, token.session())?;
        Ok(SignedIn { user, access_token, refresh_token: token.expose(), expires_in: self.config.access_ttl })
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "the refresh token is not good; sign in again")
}
