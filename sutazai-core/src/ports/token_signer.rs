//! Token signing port: access tokens are short-lived and verified without a store.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::domain::{SessionId, UserId, UserRole};
use crate::error::Result;

/// Issuer (`iss`) of access tokens.
pub const ISSUER: &str = "sutazai";
/// Audience (`aud`) of access tokens.
pub const AUDIENCE: &str = "sutazai";

/// Claims of an access token, with their names from RFC 7519.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer, always [`ISSUER`]. Tokens signed before this claim was introduced have none.
    #[serde(default)]
    pub iss: String,
    /// Intended audience of the token, always [`AUDIENCE`].
    #[serde(default)]
    pub aud: String,
    /// Subject: id of the user.
    pub sub: UserId,
    /// Expiry, in seconds since 1970.
    pub exp: i64,
    /// Time of issue, in seconds since 1970.
    pub iat: i64,
    /// Unique id of the token: its session and a number within it.
    pub jti: String,
    /// Session that the token belongs to.
    pub sid: SessionId,
    /// Token type, always `access`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Role of the user.
    pub role: UserRole,
}

/// Signs access tokens and verifies them.
///
/// # Contract
/// - A signed token verifies and yields the same claims.
/// - A token that was changed in any byte does not verify.
/// - A token with another key, another algorithm or none does not verify.
/// - An expired token does not verify, judged by the caller's `now`.
/// - A token issued more than one minute after `now` does not verify; one minute is the tolerated clock skew between
///   servers.
/// - A token whose type is not `access` does not verify.
/// - A token of another issuer or for another audience, or without either, does not verify.
/// - A signed token is recognized as the signer's own at any age; a changed one or one of another key is not.
///
/// # Examples
///
/// ```
/// use sutazai_core::Result;
/// use sutazai_core::domain::UserId;
/// use sutazai_core::ports::{Clock, TokenSigner};
///
/// /// Returns the user of a valid token.
/// fn user_of(signer: &dyn TokenSigner, token: &str, clock: &dyn Clock) -> Result<UserId> {
///     Ok(signer.verify(token, clock.now().timestamp())?.sub)
/// }
/// ```
#[cfg_attr(feature = "test-util", mockall::automock)]
pub trait TokenSigner: Debug + Send + Sync + 'static {
    /// Signs the claims and returns the compact form of the token.
    ///
    /// # Errors
    /// `Internal` if the key cannot sign.
    fn sign(&self, claims: &AccessClaims) -> Result<String>;

    /// Verifies a token at the time `now`, in seconds since 1970, and returns its claims.
    ///
    /// # Errors
    /// `Unauthenticated`, without a reason.
    fn verify(&self, token: &str, now: i64) -> Result<AccessClaims>;

    /// Returns whether the token was signed with this signer's key, even if it has expired.
    fn is_own(&self, token: &str) -> bool;
}
