//! Access tokens: signed, short-lived, checked without a look at any store.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::domain::{SessionId, UserId, UserRole};
use crate::error::Result;

/// Issuer of access tokens.
pub const ISSUER: &str = "sutazai";
/// Audience of access tokens.
pub const AUDIENCE: &str = "sutazai";

/// What an access token says (RFC 7519 names).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Who made it: [`ISSUER`]. Tokens of before this claim have none.
    #[serde(default)]
    pub iss: String,
    /// Whom it is for: [`AUDIENCE`].
    #[serde(default)]
    pub aud: String,
    /// The user.
    pub sub: UserId,
    /// End, in seconds since 1970.
    pub exp: i64,
    /// Begin, in seconds since 1970.
    pub iat: i64,
    /// The token's own id: the session it belongs to and a number within it.
    pub jti: String,
    /// The session it belongs to.
    pub sid: SessionId,
    /// Always `access`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the user may do.
    pub role: UserRole,
}

/// Signs and verifies access tokens.
///
/// # Contract
/// - What was signed verifies and says the same.
/// - A token that was changed in any byte does not verify.
/// - A token of another key, of another algorithm or of none does not verify.
/// - An expired token does not verify, as the caller's `now` tells it.
/// - A token that begins more than a minute after that `now` does not verify; a minute is what the clocks of two servers may differ by.
/// - A token whose type is not `access` does not verify.
/// - A token of another issuer or for another audience does not verify, nor does one that names none.
/// - A token that was signed is its own, however old; one that was changed or signed by another key is not.
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait TokenSigner: Debug + Send + Sync + 'static {
    /// The compact form of a signed token.
    fn sign(&self, claims: &AccessClaims) -> Result<String>;

    /// What a good token says.
    ///
    /// # Errors
    /// `Unauthenticated`, without saying why.
    fn verify(&self, token: &str, now: i64) -> Result<AccessClaims>;

    /// Whether this signer, or one with its key, has made the token. It may have ended long ago.
    fn is_own(&self, token: &str) -> bool;
}
