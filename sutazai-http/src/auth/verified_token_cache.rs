//! Verified-token cache: access tokens whose signature is known to be valid. A client sends the same token with every
//! request until it expires, so its signature is verified once. Expiry and session are still checked for every
//! request, by the caller.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sutazai_core::ports::AccessClaims;

/// Maximum number of cached tokens; about 10 MB.
const MAX_TOKENS: usize = 10_000;
/// Maximum length of a cached token in bytes.
const MAX_TOKEN_BYTES: usize = 1_024;

/// Verified tokens of one signer with their claims.
#[derive(Default)]
pub(super) struct VerifiedTokenCache(RwLock<HashMap<Box<str>, AccessClaims>>);

impl VerifiedTokenCache {
    /// Returns the claims of the token, if it is cached.
    pub(super) fn get(&self, token: &str) -> Option<AccessClaims> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Caches a token that is valid at `now`, in Unix seconds. A full cache first drops expired tokens, then all:
    /// that costs one more verification per token, and needs no bookkeeping of recent use.
    pub(super) fn keep(&self, token: &str, claims: &AccessClaims, now: i64) {
        if token.len() > MAX_TOKEN_BYTES {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_TOKENS {
            known.retain(|_, claims| claims.exp > now);
            if known.len() >= MAX_TOKENS {
                known.clear();
            }
        }
        known.insert(token.into(), claims.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_bounded_and_drops_expired_tokens_first() {
        let known = VerifiedTokenCache::default();
        let claims = sutazai_core::testing::token_signer::claims();
        let expired = AccessClaims { exp: claims.iat, ..claims.clone() };
        for n in 0..MAX_TOKENS - 1 {
            known.keep(&format!("old {n}"), &expired, claims.iat);
        }
        known.keep("good", &claims, claims.iat);
        known.keep("new", &claims, claims.iat);
        assert_eq!(known.0.read().unwrap().len(), 2);
        for n in 0..2 * MAX_TOKENS {
            known.keep(&format!("new {n}"), &claims, claims.iat);
            assert_eq!(known.get(&format!("new {n}")).as_ref(), Some(&claims));
        }
        assert!(known.0.read().unwrap().len() <= MAX_TOKENS);
        known.keep(&"x".repeat(MAX_TOKEN_BYTES + 1), &claims, claims.iat);
        assert!(known.get(&"x".repeat(MAX_TOKEN_BYTES + 1)).is_none());
    }
}
