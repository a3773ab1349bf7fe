//! [`TokenSigner`] with JSON Web Tokens (RFC 7519), signed by HMAC-SHA-256.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use sutazai_core::ports::{AccessClaims, TokenSigner};
use sutazai_core::{Error, ErrorKind, Result};

/// The shortest secret in bytes: as long as the hash (RFC 7518, 3.2).
const MIN_SECRET: usize = 32;
/// The only algorithm that is signed with and accepted; what a token's header says cannot choose another.
const ALGORITHM: Algorithm = Algorithm::HS256;
/// The type of an access token.
const ACCESS: &str = "access";

/// Signs and verifies with one secret.
pub struct JwtTokenSigner {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl JwtTokenSigner {
    /// A signer with this secret.
    ///
    /// # Errors
    /// `InvalidInput` naming `JWT_SECRET_KEY` when it is shorter than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Self> {
        if secret.len() < MIN_SECRET {
            let message = format!("expected at least {MIN_SECRET} bytes, got {}", secret.len());
            return Err(Error::invalid("JWT_SECRET_KEY", message));
        }
        let mut validation = Validation::new(ALGORITHM);
        // The end is checked against the caller's time, not against the machine's.
        validation.validate_exp = false;
        let (encoding, decoding) = (EncodingKey::from_secret(secret), DecodingKey::from_secret(secret));
        Ok(Self { encoding, decoding, validation })
    }
}

impl fmt::Debug for JwtTokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtTokenSigner")
    }
}

impl TokenSigner for JwtTokenSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<String> {
        encode(&Header::new(ALGORITHM), claims, &self.encoding)
            .map_err(|e| Error::internal("a token could not be signed").with_source(e))
    }

    fn verify(&self, token: &str, now: i64) -> Result<AccessClaims> {
        decode::<AccessClaims>(token, &self.decoding, &self.validation)
            .ok()
            .map(|token| token.claims)
            .filter(|claims| claims.kind == ACCESS && claims.exp > now)
            .ok_or_else(|| Error::new(ErrorKind::Unauthenticated, "the access token is not good"))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn conforms() {
        let keys = AtomicU8::new(0);
        let make = || Arc::new(JwtTokenSigner::new(&[keys.fetch_add(1, Ordering::Relaxed); 32]).unwrap());
        sutazai_core::testing::token_signer::run_all(make, |claims| {
            let secret = [77; 32];
            let signer = Arc::new(JwtTokenSigner::new(&secret).unwrap());
            let key = EncodingKey::from_secret(&secret);
            let signed = |algorithm| encode(&Header::new(algorithm), claims, &key).unwrap();
            let good = signed(Algorithm::HS256);
            assert!(signer.verify(&good, claims.iat).is_ok(), "the forger has the right key");
            let parts: Vec<&str> = good.split('.').collect();
            // {"alg":"none","typ":"JWT"} and {"alg":"None"}
            let none = ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOb25lIn0"].map(|header| {
                [format!("{header}.{}.", parts[1]), format!("{header}.{}.{}", parts[1], parts[2])]
            });
            let other = [Algorithm::HS384, Algorithm::HS512].map(signed);
            let bare = [format!("{}.{}.", parts[0], parts[1]), format!("{}.{}", parts[0], parts[1])];
            (signer, none.into_iter().flatten().chain(other).chain(bare).collect())
        });
    }

    #[test]
    fn a_short_secret_is_refused_by_name() {
        let e = JwtTokenSigner::new(&[1; 31]).unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("JWT_SECRET_KEY")));
    }

    #[test]
    fn debug_hides_the_secret() {
        let signer = JwtTokenSigner::new(b"a secret of thirty-two bytes ...").unwrap();
        assert_eq!(format!("{signer:?}"), "JwtTokenSigner");
    }
}
