//! [`TokenSigner`] with JSON Web Tokens (RFC 7519), signed with HMAC-SHA-256 or Ed25519 (RFC 8037).
//!
//! The configured key alone determines the algorithm. The `alg` of a token is never trusted, so a token cannot choose
//! `none`, or use a public key as an HMAC secret.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use data_encoding::HEXLOWER;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use sha2::{Digest, Sha256};
use sutazai_core::ports::{AUDIENCE, AccessClaims, ISSUER, TokenSigner};
use sutazai_core::{Error, ErrorKind, Result};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::verified_token_cache::VerifiedTokenCache;

/// Minimum length of a secret in bytes: that of the hash (RFC 7518, 3.2).
const MIN_SECRET_BYTES: usize = 32;
/// First bytes of a PEM file (RFC 7468).
const PEM: &[u8] = b"-----BEGIN";
/// Value of the claim `type` of an access token.
const ACCESS: &str = "access";

/// Maximum difference in seconds by which the clock of the signing server may be ahead.
const MAX_SKEW_SECONDS: i64 = 60;

/// Length of a key id in hexadecimal digits.
const KEY_ID_DIGITS: usize = 16;

/// Token signer. It signs with the current key, and verifies with the current and, during a key rotation, the
/// previous key.
pub struct JwtTokenSigner {
    current: Key,
    previous: Option<Key>,
    known: VerifiedTokenCache,
}

struct Key {
    /// Prefix of the SHA-256 of the secret or of the public key. The header's `kid` (RFC 7515, 4.1.4) selects the key
    /// by it.
    id: String,
    validation: Validation,
    algorithm: Algorithm,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl JwtTokenSigner {
    /// Creates a signer with this key: a secret for HS256, or an Ed25519 private key in PEM (PKCS#8) for EdDSA.
    ///
    /// # Errors
    /// `InvalidInput` naming `JWT_SECRET_KEY` for a secret of less than 32 bytes, and for PEM of any other kind of
    /// key.
    pub fn new(key: &[u8]) -> Result<Self> {
        Ok(Self {
            current: Key::new(key, "JWT_SECRET_KEY")?,
            previous: None,
            known: VerifiedTokenCache::default(),
        })
    }

    /// Also accepts tokens of the previous key, so that rotating the key, or changing the algorithm, ends no session.
    ///
    /// # Errors
    /// Those of [`new`](Self::new), naming `JWT_PREVIOUS_SECRET_KEY`.
    pub fn accept_previous(mut self, key: &[u8]) -> Result<Self> {
        self.previous = Some(Key::new(key, "JWT_PREVIOUS_SECRET_KEY")?);
        Ok(self)
    }

    fn claims(&self, token: &str) -> Option<AccessClaims> {
        let named = decode_header(token).ok()?.kid;
        let keys = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        // A token without `kid` was signed by another program that has the key, so all keys are tried.
        keys.filter(|key| named.as_ref().is_none_or(|named| *named == key.id))
            .find_map(|key| decode::<AccessClaims>(token, &key.decoding, &key.validation).ok())
            .map(|token| token.claims)
    }
}

impl Key {
    fn new(key: &[u8], setting: &str) -> Result<Self> {
        if key.trim_ascii_start().starts_with(PEM) {
            return Self::ed25519(key).ok_or_else(|| {
                Error::invalid(setting, "expected PEM of an Ed25519 private key (PKCS#8), got other PEM")
            });
        }
        if key.len() < MIN_SECRET_BYTES {
            let message = format!("expected at least {MIN_SECRET_BYTES} bytes, got {}", key.len());
            return Err(Error::invalid(setting, message));
        }
        let (encoding, decoding) = (EncodingKey::from_secret(key), DecodingKey::from_secret(key));
        Ok(Self::of(key, Algorithm::HS256, encoding, decoding))
    }

    fn ed25519(pem: &[u8]) -> Option<Self> {
        let der = PrivateKeyDer::from_pem_slice(pem).ok()?;
        let pair = Ed25519KeyPair::from_pkcs8(der.secret_der()).ok()?;
        let public = pair.public_key().as_ref();
        let (encoding, decoding) =
            (EncodingKey::from_ed_der(der.secret_der()), DecodingKey::from_ed_der(public));
        Some(Self::of(public, Algorithm::EdDSA, encoding, decoding))
    }

    fn of(named_by: &[u8], algorithm: Algorithm, encoding: EncodingKey, decoding: DecodingKey) -> Self {
        let mut validation = Validation::new(algorithm);
        // `verify` checks the expiry against the caller's clock, which tests control.
        validation.validate_exp = false;
        // `verify` checks the audience together with the type, because this library accepts tokens without one.
        validation.validate_aud = false;
        let mut id = HEXLOWER.encode(&Sha256::digest(named_by));
        id.truncate(KEY_ID_DIGITS);
        Self { id, validation, algorithm, encoding, decoding }
    }
}

impl fmt::Debug for JwtTokenSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtTokenSigner")
    }
}

impl TokenSigner for JwtTokenSigner {
    fn sign(&self, claims: &AccessClaims) -> Result<String> {
        let header = Header { kid: Some(self.current.id.clone()), ..Header::new(self.current.algorithm) };
        encode(&header, claims, &self.current.encoding)
            .map_err(|e| Error::internal("a token could not be signed").with_source(e))
    }

    fn verify(&self, token: &str, now: i64) -> Result<AccessClaims> {
        let is_good = |claims: &AccessClaims| {
            (claims.iss.as_str(), claims.aud.as_str()) == (ISSUER, AUDIENCE)
                && claims.kind == ACCESS
                && claims.exp > now
                && claims.iat <= now.saturating_add(MAX_SKEW_SECONDS)
        };
        let refused = || Error::new(ErrorKind::Unauthenticated, "the access token is invalid or expired");
        if let Some(claims) = self.known.get(token) {
            return Some(claims).filter(is_good).ok_or_else(refused);
        }
        let claims = self.claims(token).filter(is_good).ok_or_else(refused)?;
        self.known.keep(token, &claims);
        Ok(claims)
    }

    fn is_own(&self, token: &str) -> bool {
        self.claims(token).is_some()
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

    fn ed25519() -> String {
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem()
    }

    #[test]
    fn conforms_with_ed25519() {
        let make = || Arc::new(JwtTokenSigner::new(ed25519().as_bytes()).unwrap());
        sutazai_core::testing::token_signer::run_all(make, |claims| {
            let pem = ed25519();
            let signer = Arc::new(JwtTokenSigner::new(pem.as_bytes()).unwrap());
            let good = signer.sign(claims).unwrap();
            assert_eq!(decode_header(&good).unwrap().alg, Algorithm::EdDSA);
            let parts: Vec<&str> = good.split('.').collect();
            // Algorithm confusion: if the token chose the algorithm, the public key would verify as an HMAC secret.
            let pair = rcgen::KeyPair::from_pem(&pem).unwrap();
            let [raw, text] =
                [rcgen::PublicKeyData::der_bytes(&pair).to_vec(), pair.public_key_pem().into_bytes()];
            let as_secret = [raw, text].map(|public| {
                encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(&public)).unwrap()
            });
            let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1]);
            (signer, as_secret.into_iter().chain([none]).collect())
        });
    }

    #[test]
    fn openssl_key_signs_and_other_pem_is_rejected() {
        // `openssl genpkey -algorithm ed25519`: PKCS#8 without the public key; RFC 8410, 10.3.
        let openssl = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let claims = sutazai_core::testing::token_signer::claims();
        let signer = JwtTokenSigner::new(openssl.trim_end().as_bytes()).unwrap(); // as secrets from files are
        assert_eq!(signer.verify(&signer.sign(&claims).unwrap(), claims.iat).unwrap(), claims);
        let p256 = rcgen::KeyPair::generate().unwrap();
        for other in [p256.serialize_pem(), p256.public_key_pem(), openssl.replace("MC4C", "MC4D")] {
            let e = JwtTokenSigner::new(other.as_bytes()).unwrap_err();
            assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("JWT_SECRET_KEY")));
        }
    }

    #[test]
    fn changing_the_algorithm_ends_no_session() {
        let claims = sutazai_core::testing::token_signer::claims();
        let (secret, pem) = ([1; 32], ed25519());
        let before = JwtTokenSigner::new(&secret).unwrap();
        let during = JwtTokenSigner::new(pem.as_bytes()).unwrap().accept_previous(&secret).unwrap();
        let after = JwtTokenSigner::new(pem.as_bytes()).unwrap();
        let (old, new) = (before.sign(&claims).unwrap(), during.sign(&claims).unwrap());
        assert!(during.verify(&old, claims.iat).is_ok() && during.verify(&new, claims.iat).is_ok());
        assert!(after.verify(&old, claims.iat).is_err() && after.verify(&new, claims.iat).is_ok());
    }

    #[test]
    fn cached_token_expires_and_a_modified_one_is_rejected() {
        let claims = sutazai_core::testing::token_signer::claims();
        let signer = JwtTokenSigner::new(&[1; 32]).unwrap();
        let token = signer.sign(&claims).unwrap();
        for _ in 0..2 {
            assert_eq!(signer.verify(&token, claims.iat).unwrap(), claims);
            assert!(signer.verify(&token, claims.exp).is_err());
            assert!(signer.verify(&token, claims.iat - MAX_SKEW_SECONDS - 1).is_err());
            assert!(signer.verify(&token[..token.len() - 1], claims.iat).is_err());
        }
    }

    #[test]
    fn short_secret_is_rejected_by_name() {
        let e = JwtTokenSigner::new(&[1; 31]).unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("JWT_SECRET_KEY")));
    }

    #[test]
    fn key_rotation_ends_no_session() {
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
        // `kid` selects a key, but does not make a signature valid.
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
