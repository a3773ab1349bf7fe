//! Verified-token cache: access tokens whose signature is known to be valid. A client sends the same token with every
//! request until it expires, so its signature is verified once. Expiry and session are still checked for every
//! request, by the caller; an expired token stays until others take its place.

use quick_cache::sync::Cache;
use sutazai_core::ports::AccessClaims;

/// Maximum number of cached tokens; about 10 MB.
const MAX_TOKENS: usize = 10_000;
/// Maximum length of a cached token in bytes.
const MAX_TOKEN_BYTES: usize = 1_024;

/// Verified tokens of one signer with their claims; a full cache evicts those that are not in use.
pub(super) struct VerifiedTokenCache(Cache<Box<str>, AccessClaims>);

impl VerifiedTokenCache {
    /// Returns the claims of the token, if it is cached.
    pub(super) fn get(&self, token: &str) -> Option<AccessClaims> {
        self.0.get(token)
    }

    /// Caches a valid token.
    pub(super) fn keep(&self, token: &str, claims: &AccessClaims) {
        if token.len() <= MAX_TOKEN_BYTES {
            self.0.insert(token.into(), claims.clone());
        }
    }
}

impl Default for VerifiedTokenCache {
    fn default() -> Self {
        Self(Cache::new(MAX_TOKENS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_bounded_and_keeps_tokens_in_use() {
        let known = VerifiedTokenCache::default();
        let claims = sutazai_core::testing::token_signer::claims();
        known.keep("in use", &claims);
        for n in 0..2 * MAX_TOKENS {
            known.keep(&format!("once {n}"), &claims);
            assert_eq!(known.get("in use").as_ref(), Some(&claims), "after {n} others");
        }
        assert!(known.0.len() <= MAX_TOKENS, "{}", known.0.len());
        known.keep(&"x".repeat(MAX_TOKEN_BYTES + 1), &claims);
        assert!(known.get(&"x".repeat(MAX_TOKEN_BYTES + 1)).is_none());
    }
}
