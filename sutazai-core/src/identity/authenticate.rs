//! Access tokens: signing and verification.

use uuid::Uuid;

use crate::domain::{Caller, SessionId, User, later};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::{Authenticated, Identity};
use crate::ports::{AUDIENCE, AccessClaims, ISSUER};

/// Value of the claim `type` of an access token.
const ACCESS: &str = "access";

impl Identity {
    /// Authenticates an access token, and checks its session in the shared cache, if there is one, for revocations by
    /// other servers.
    ///
    /// # Errors
    /// `Unauthenticated`, without a reason.
    pub async fn admit(&self, access_token: &str) -> Result<Authenticated> {
        let authenticated = self.authenticate(access_token)?;
        if self.ended_elsewhere(authenticated.claims.sid).await {
            return Err(refused());
        }
        Ok(authenticated)
    }

    /// Authenticates an access token by its signature and the revocations known to this process.
    ///
    /// # Errors
    /// `Unauthenticated`, without a reason.
    pub fn authenticate(&self, access_token: &str) -> Result<Authenticated> {
        let now = self.clock.now();
        let claims = self.signer.verify(access_token, now.timestamp())?;
        if self.revoked.contains(claims.sid) {
            return Err(refused());
        }
        Ok(Authenticated { caller: Caller::User { id: claims.sub, role: claims.role }, claims })
    }

    pub(super) fn sign_access_token(&self, user: &User, session: SessionId) -> Result<String> {
        let now = self.clock.now();
        self.signer.sign(&AccessClaims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user.id,
            exp: later(now, self.config.access_ttl).timestamp(),
            iat: now.timestamp(),
            jti: format!("{session}.{}", Uuid::now_v7().simple()),
            sid: session,
            kind: ACCESS.to_owned(),
            role: user.role,
        })
    }
}

fn refused() -> Error {
    Error::new(ErrorKind::Unauthenticated, "the access token is invalid or expired")
}
