//! Conformance suite of the port [`TokenSigner`].

use std::sync::Arc;

use crate::domain::{SessionId, UserId, UserRole};
use crate::error::ErrorKind;
use crate::ports::{AUDIENCE, AccessClaims, ISSUER, TokenSigner};

/// 2026-01-01 00:00:00 UTC, in seconds since 1970.
const NOW: i64 = 1_767_225_600;

/// Runs every check of the contract. `make` returns a signer with a key of its own at each call. `forge` signs valid
/// claims with the key of the returned signer but with a wrong header or type, so that only these can be the reason for
/// a rejection: tokens of another algorithm, of none, and of another type.
pub fn run_all<T: TokenSigner + ?Sized>(
    make: impl Fn() -> Arc<T>,
    forge: impl Fn(&AccessClaims) -> (Arc<T>, Vec<String>),
) {
    signed_token_verifies(&*make());
    altered_token_does_not_verify(&*make());
    token_of_another_key_does_not_verify(&*make(), &*make());
    let (signer, forged) = forge(&claims());
    forged_token_does_not_verify(&*signer, &forged);
    expired_token_does_not_verify(&*make());
    token_from_the_future_does_not_verify(&*make());
    another_type_does_not_verify(&*make());
    another_issuer_or_audience_does_not_verify(&*make());
    signed_token_is_recognized_as_own(&*make(), &*make());
    let (signer, forged) = forge(&claims());
    assert!(forged.iter().all(|token| !signer.is_own(token)), "a forged token");
}

/// A signed token verifies and yields the same claims.
pub fn signed_token_verifies<T: TokenSigner + ?Sized>(signer: &T) {
    for role in [UserRole::User, UserRole::Admin] {
        let claims = AccessClaims { role, ..claims() };
        assert_eq!(signer.verify(&signer.sign(&claims).unwrap(), NOW).unwrap(), claims);
    }
}

/// A token that was changed in any byte does not verify.
pub fn altered_token_does_not_verify<T: TokenSigner + ?Sized>(signer: &T) {
    let token = signer.sign(&claims()).unwrap();
    for position in 0..token.len() {
        for replacement in [b'A', b'z', b'.', b'='] {
            let mut changed = token.clone().into_bytes();
            if changed[position] != replacement {
                changed[position] = replacement;
                refuse(signer, &String::from_utf8(changed).unwrap(), "a changed byte");
            }
        }
        refuse(signer, &token[..position], "a token cut short");
    }
    refuse(signer, &format!("{token}A"), "a byte more");
    refuse(signer, &format!("{token}.{token}"), "two tokens");
}

/// A token with another key does not verify.
pub fn token_of_another_key_does_not_verify<T: TokenSigner + ?Sized>(signer: &T, other: &T) {
    refuse(signer, &other.sign(&claims()).unwrap(), "another key");
}

/// A token with another algorithm or none does not verify.
pub fn forged_token_does_not_verify<T: TokenSigner + ?Sized>(signer: &T, forged: &[String]) {
    assert!(!forged.is_empty(), "nothing was forged");
    for token in forged {
        refuse(signer, token, "a forged token");
    }
}

/// An expired token does not verify, judged by the caller's `now`.
pub fn expired_token_does_not_verify<T: TokenSigner + ?Sized>(signer: &T) {
    let claims = claims();
    let token = signer.sign(&claims).unwrap();
    assert!(signer.verify(&token, claims.exp - 1).is_ok());
    for now in [claims.exp, claims.exp + 1, claims.exp + 1_000_000] {
        assert_eq!(signer.verify(&token, now).unwrap_err().kind(), ErrorKind::Unauthenticated, "now {now}");
    }
}

/// A token issued more than one minute after `now` does not verify; one minute is the tolerated clock skew between
/// servers.
pub fn token_from_the_future_does_not_verify<T: TokenSigner + ?Sized>(signer: &T) {
    let claims = claims();
    let token = signer.sign(&claims).unwrap();
    assert!(signer.verify(&token, claims.iat - 60).is_ok());
    for now in [claims.iat - 61, claims.iat - 1_000_000, 0] {
        assert_eq!(signer.verify(&token, now).unwrap_err().kind(), ErrorKind::Unauthenticated, "now {now}");
    }
}

/// A signed token is recognized as the signer's own at any age; a changed one or one of another key is not.
pub fn signed_token_is_recognized_as_own<T: TokenSigner + ?Sized>(signer: &T, other: &T) {
    let token = signer.sign(&claims()).unwrap();
    let old = signer.sign(&AccessClaims { exp: 1, iat: 0, ..claims() }).unwrap();
    assert!(signer.is_own(&token) && signer.is_own(&old));
    assert!(!other.is_own(&token) && !signer.is_own(&token[1..]) && !signer.is_own(""));
    let (unsigned, _) = token.rsplit_once('.').unwrap();
    let (_, signature) = old.rsplit_once('.').unwrap();
    assert!(!signer.is_own(&format!("{unsigned}.{signature}")), "the signature of another token");
}

/// A token whose type is not `access` does not verify.
pub fn another_type_does_not_verify<T: TokenSigner + ?Sized>(signer: &T) {
    for kind in ["refresh", "", "Access", "access "] {
        let token = signer.sign(&AccessClaims { kind: kind.into(), ..claims() }).unwrap();
        refuse(signer, &token, "another type");
    }
}

/// A token of another issuer or for another audience, or without either, does not verify.
pub fn another_issuer_or_audience_does_not_verify<T: TokenSigner + ?Sized>(signer: &T) {
    for (iss, aud) in [("elsewhere", AUDIENCE), (ISSUER, "elsewhere"), ("", AUDIENCE), (ISSUER, "")] {
        let other = AccessClaims { iss: iss.into(), aud: aud.into(), ..claims() };
        refuse(signer, &signer.sign(&other).unwrap(), "another issuer or audience");
    }
}

fn refuse<T: TokenSigner + ?Sized>(signer: &T, token: &str, what: &str) {
    match signer.verify(token, NOW) {
        Ok(_) => panic!("{what} was accepted: {token}"),
        Err(e) => assert_eq!(e.kind(), ErrorKind::Unauthenticated, "{what}: {e}"),
    }
}

/// Creates claims that are valid for half an hour from their `iat`.
pub fn claims() -> AccessClaims {
    let session = SessionId::new();
    AccessClaims {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: UserId::new(),
        exp: NOW + 1_800,
        iat: NOW,
        jti: format!("{session}.1"),
        sid: session,
        kind: "access".into(),
        role: UserRole::User,
    }
}
