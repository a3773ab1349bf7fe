//! Access tokens whose signature was found good a moment ago. A client sends the same one with every request until it
//! expires; whether it still may be used (its times, its session) is asked anew each time, by whoever asks here.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use sutazai_core::ports::AccessClaims;

/// At most so many; about 10 MB.
const MANY: usize = 10_000;
/// Longer ones in bytes are not kept.
const LONGEST: usize = 1_024;

/// Tokens of one signer with what they say.
#[derive(Default)]
pub(super) struct KnownTokens(RwLock<HashMap<Box<str>, AccessClaims>>);

impl KnownTokens {
    /// What the token says, if it is known.
    pub(super) fn get(&self, token: &str) -> Option<AccessClaims> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }

    /// Keeps a token that is good `now`, in seconds since 1970. When there is no room, those that have expired go, or
    /// all: each costs one look at its signature more.
    pub(super) fn keep(&self, token: &str, claims: &AccessClaims, now: i64) {
        if token.len() > LONGEST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MANY {
            known.retain(|_, claims| claims.exp > now);
            if known.len() >= MANY {
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
    fn it_stays_small_and_forgets_first_what_has_expired() {
        let known = KnownTokens::default();
        let claims = sutazai_core::testing::token_signer::claims();
        let expired = AccessClaims { exp: claims.iat, ..claims.clone() };
        for n in 0..MANY - 1 {
            known.keep(&format!("old {n}"), &expired, claims.iat);
        }
        known.keep("good", &claims, claims.iat);
        known.keep("new", &claims, claims.iat);
        assert_eq!(known.0.read().unwrap().len(), 2);
        for n in 0..2 * MANY {
            known.keep(&format!("new {n}"), &claims, claims.iat);
            assert_eq!(known.get(&format!("new {n}")).as_ref(), Some(&claims));
        }
        assert!(known.0.read().unwrap().len() <= MANY);
        known.keep(&"x".repeat(LONGEST + 1), &claims, claims.iat);
        assert!(known.get(&"x".repeat(LONGEST + 1)).is_none());
    }
}
