//! Refresh: exchanges a refresh token for a new pair of tokens.
//!
//! The successor of a refresh token is derived from it, from a random salt and from the client. If the response is
//! lost, or two browser tabs refresh at once, the client presents the spent token again and gets the same successor:
//! the server derives it again and compares hashes. So neither tokens nor data about the client are stored. Storing the
//! successor's plaintext would be simpler, but a leaked database would then contain valid tokens.
//!
//! Each token is exchanged once, because a bearer token can be copied: the second use of it reveals that there are two
//! holders. A token that stays valid until its session ends would be right if it were bound to a key of the client, by
//! mutual TLS or DPoP, so that a copy is worthless.

use chrono::{DateTime, Utc};

use crate::domain::{REFRESH_REPEAT_WINDOW, Session, SessionId, Successor, User, UserRole, later};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::refresh_token::RefreshToken;
use crate::identity::secret::{from_hex, hex, random};
use crate::identity::{Client, Identity, SignedIn};

impl Identity {
    /// Exchanges a refresh token for a new pair of tokens, for an unknown client.
    ///
    /// # Errors
    /// `Unauthenticated`, without a reason.
    pub async fn refresh(&self, refresh_token: &str) -> Result<SignedIn> {
        self.refresh_from(refresh_token, Client::default()).await
    }

    /// Exchanges a refresh token for a new pair of tokens. Within 30 s the same client may repeat a spent token and
    /// gets the same successor again. Any other use of a spent token revokes its session: either the holder or a thief
    /// used a copy, and the server cannot tell which. A token that the session never had revokes nothing; otherwise
    /// anybody who knows a session's id could end it. The session ends at its maximum lifetime, however often it is
    /// refreshed.
    ///
    /// # Errors
    /// `Unauthenticated`, without a reason.
    pub async fn refresh_from(&self, refresh_token: &str, client: Client<'_>) -> Result<SignedIn> {
        let presented = RefreshToken::parse(refresh_token).ok_or_else(refused)?;
        let now = self.clock.now();
        let session = self.good_session(presented.session(), now).await?;
        if session.refresh_hash != presented.hash() {
            return self.repeat(&session, &presented, client, now).await;
        }
        let user = self.enabled_user(&session).await?;
        let expires_at = self.session_end(&user, session.created_at, now);
        if expires_at <= now {
            return Err(refused());
        }
        let salt = random();
        let next = presented.successor(&salt, &client);
        let new = Successor { hash: next.hash(), salt: hex(&salt) };
        // The store compares the hash and replaces it in one step, so of two concurrent requests one loses and takes the
        // path of a repeated token. A lock around reading and writing would do the same for one process only.
        match self.store.rotate(session.id, &session.refresh_hash, &new, now, expires_at).await {
            Ok(()) => self.signed_in(user, next, expires_at),
            // A concurrent request has exchanged the same token.
            Err(e) if e.kind() == ErrorKind::Conflict => {
                let session = self.good_session(session.id, now).await?;
                self.repeat(&session, &presented, client, now).await
            }
            Err(e) => Err(e),
        }
    }

    /// Handles a token that is not the session's current one: returns its successor if the client that exchanged it
    /// repeats it.
    async fn repeat(
        &self,
        session: &Session,
        presented: &RefreshToken,
        client: Client<'_>,
        now: DateTime<Utc>,
    ) -> Result<SignedIn> {
        let spent = self.store.spent_token(session.id, &presented.hash()).await?.ok_or_else(refused)?;
        let salt = spent.salt.filter(|_| now - spent.spent_at <= REFRESH_REPEAT_WINDOW);
        if let Some(salt) = salt.as_deref().and_then(from_hex) {
            let next = presented.successor(&salt, &client);
            let is_known = next.hash() == session.refresh_hash
                || self.store.spent_token(session.id, &next.hash()).await?.is_some();
            if is_known {
                return self.signed_in(self.enabled_user(session).await?, next, session.expires_at);
            }
        }
        self.end_reused(session.id).await
    }

    async fn good_session(&self, id: SessionId, now: DateTime<Utc>) -> Result<Session> {
        let session = self.store.session(id).await?;
        session.filter(|s| s.revoked_at.is_none() && s.expires_at > now).ok_or_else(refused)
    }

    async fn enabled_user(&self, session: &Session) -> Result<User> {
        self.store.user(session.user).await?.filter(|user| !user.disabled).ok_or_else(refused)
    }

    async fn end_reused(&self, session: SessionId) -> Result<SignedIn> {
        tracing::warn!(session_id = %session, "spent refresh token reused; session ended");
        self.logout(session).await?;
        Err(refused())
    }

    /// Returns the expiry of a session of this user that began at `begun` and is refreshed now.
    pub(super) fn session_end(&self, user: &User, begun: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        let longest = match user.role {
            UserRole::Admin => self.config.admin_session_ttl,
            UserRole::User => self.config.session_ttl,
        };
        later(now, self.config.refresh_ttl).min(later(begun, longest))
    }

    pub(super) fn signed_in(
        &self,
        user: User,
        token: RefreshToken,
        session_end: DateTime<Utc>,
    ) -> Result<SignedIn> {
        Ok(SignedIn {
            access_token: self.sign_access_token(&user, token.session())?,
            user,
            refresh_token: token.expose(),
            expires_in: self.config.access_ttl,
            refresh_expires_in: (session_end - self.clock.now()).to_std().unwrap_or_default(),
        })
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "the refresh token is invalid or expired; sign in again")
}
