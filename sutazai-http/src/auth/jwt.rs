//! [`TokenSigner`] with JSON Web Tokens (RFC 7519), signed by HMAC-SHA-256.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use sha2::{Digest, Sha256};
use sutazai_core::ports::{AccessClaims, TokenSigner};
use sutazai_core::{Error, ErrorKind, Result};

/// The shortest secret in bytes: as long as the hash (RFC 7518, 3.2).
const MIN_SECRET: usize = 32;
/// The only algorithm that is signed with and accepted; what a token's header says cannot choose another.
const ALGORITHM: Algorithm = Algorithm::HS256;
/// The type of an access token.
const ACCESS: &str = "access";

/// Hexadecimal digits of a key's id.
const KEY_ID_DIGITS: usize = 16;

/// Signs with one secret, and verifies with that and, while keys are changed, with the one before it.
pub struct JwtTokenSigner {
    current: Key,
    previous: Option<Key>,
    validation: Validation,
}

struct Key {
    /// The beginning of the secret's SHA-256: the header's `kid` (RFC 7515, 4.1.4) says which key to verify with.
    id: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl JwtTokenSigner {
    /// A signer with this secret.
    ///
    /// # Errors
    /// `InvalidInput` naming `JWT_SECRET_KEY` when it is shorter than 32 bytes.
    pub fn new(secret: &[u8]) -> Result<Self> {
        let mut validation = Validation::new(ALGORITHM);
        // The end is checked against the caller's time, not against the machine's.
        validation.validate_exp = false;
        Ok(Self { current: Key::new(secret, "JWT_SECRET_KEY")?, previous: None, validation })
    }

    /// Takes tokens of this secret too, so that a change of keys signs nobody out.
    ///
    /// # Errors
    /// `InvalidInput` naming `JWT_PREVIOUS_SECRET_KEY` when it is shorter than 32 bytes.
    pub fn accept_previous(mut self, secret: &[u8]) -> Result<Self> {
        self.previous = Some(Key::new(secret, "JWT_PREVIOUS_SECRET_KEY")?);
        Ok(self)
    }

    fn claims(&self, token: &str) -> Option<AccessClaims> {
        let named = decode_header(token).ok()?.kid;
        let keys = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        // A token that names no key was signed by somebody else who has the secret.
        keys.filter(|key| named.as_ref().is_none_or(|named| *named == key.id))
            .find_map(|key| decode::<AccessClaims>(token, &key.decoding, &self.validation).ok())
            .map(|token| token.claims)
    }
}

impl Key {
    fn new(secret: &[u8], setting: &str) -> Result<Self> {
        if secret.len() < MIN_SECRET {
            let message = format!("expected at least {MIN_SECRET} bytes, got {}", secret.len());
            return Err(Error::invalid(setting, message));
        }
        let mut id: String = Sha256::digest(secret).iter().map(|byte| format!("{byte:02x}")).collect();
        id.truncate(KEY_ID_DIGITS);
        Ok(Self {
            id,
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
        })
    }
}

impl fmt::Debug for JwtTokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtTokenSigner")
    }
}

impl TokenSigner for JwtTokenSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<String> {
        let header = Header { kid: Some(self.current.id.clone()), ..Header::new(ALGORITHM) };
        encode(&header, claims, &self.current.encoding)
            .map_err(|e| Error::internal("a token could not be signed").with_source(e))
    }

    fn verify(&self, token: &str, now: i64) -> Result<AccessClaims> {
        self.claims(token)
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
    fn a_change_of_keys_signs_nobody_out() {
        let claims = sutazai_core::testing::token_signer::claims();
        let [old, new, other] = [[1; 32], [2; 32], [3; 32]];
        let before = JwtTokenSigner::new(&old).unwrap();
        let token = before.sign(&claims).unwrap();
        let during = JwtTokenSigner::new(&new).unwrap().accept_previous(&old).unwrap();
        assert_eq!(during.verify(&token, claims.iat).unwrap(), claims);
        let later = during.sign(&claims).unwrap();
        assert!(during.verify(&later, claims.iat).is_ok());
        assert!(before.verify(&later, claims.iat).is_err(), "the old key signs no more");
        let after = JwtTokenSigner::new(&new).unwrap();
        assert!(after.verify(&token, claims.iat).is_err() && after.verify(&later, claims.iat).is_ok());
        // The header's word does not make a key good.
        let named = decode_header(&later).unwrap();
        for (header, secret) in [(named.clone(), other), (Header { kid: Some("other".into()), ..named }, new)]
        {
            let forged = encode(&header, &claims, &EncodingKey::from_secret(&secret)).unwrap();
            assert!(during.verify(&forged, claims.iat).is_err(), "{header:?}");
        }
        let e = JwtTokenSigner::new(&new).unwrap().accept_previous(&[1; 31]).unwrap_err();
        assert_eq!(e.field(), Some("JWT_PREVIOUS_SECRET_KEY"));
    }

    #[test]
    fn debug_hides_the_secret() {
        let signer = JwtTokenSigner::new(b"a secret of thirty-two bytes ...").unwrap();
        assert_eq!(format!("{signer:?}"), "JwtTokenSigner");
    }
}
