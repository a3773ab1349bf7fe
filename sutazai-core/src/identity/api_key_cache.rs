//! Cache of the API keys that this process has recently looked up.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{ApiKey, ApiKeyId, UserId};

/// Time to live of a cached key. A key that another process has removed, or whose user it has disabled, is still
/// accepted here for as long.
const LIFE: Duration = Duration::from_secs(30);
/// Time after its expiry during which an unused entry still proves that the key was valid.
const MEMORY: Duration = Duration::from_secs(10 * 60);
/// Interval between two records of a key's use.
const RECORD_EVERY: TimeDelta = TimeDelta::seconds(60);

/// Recently used keys by their hash; the size is bounded by the number of keys in use.
#[derive(Default)]
pub(super) struct ApiKeyCache {
    known: RwLock<HashMap<String, Known>>,
}

struct Known {
    key: Arc<ApiKey>,
    until: DateTime<Utc>,
}

impl ApiKeyCache {
    /// Returns the key if it was looked up within its time to live.
    pub(super) fn get(&self, hash: &str, now: DateTime<Utc>) -> Option<Arc<ApiKey>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|known| known.until > now).map(|known| known.key.clone())
    }

    /// Returns whether the key was valid at its last, recent lookup.
    pub(super) fn knew(&self, hash: &str) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(hash)
    }

    /// Adds a key, and evicts those that have not been used for long.
    pub(super) fn add(&self, key: Arc<ApiKey>, now: DateTime<Utc>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.until + MEMORY > now);
        known.insert(key.hash.clone(), Known { key, until: now + LIFE });
    }

    /// Returns whether this use must be recorded; of concurrent uses only one is.
    pub(super) fn counts(&self, hash: &str, now: DateTime<Utc>) -> bool {
        let due = |key: &ApiKey| key.last_used_at.is_none_or(|at| now - at >= RECORD_EVERY);
        let lately = |known: &HashMap<String, Known>| known.get(hash).is_some_and(|known| due(&known.key));
        if !lately(&self.known.read().unwrap_or_else(PoisonError::into_inner)) {
            return false;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = known.get_mut(hash).filter(|known| due(&known.key)) else { return false };
        Arc::make_mut(&mut known.key).last_used_at = Some(now);
        true
    }

    /// Removes one key from the cache.
    pub(super) fn forget(&self, id: ApiKeyId) {
        self.keep(|key| key.id != id);
    }

    /// Removes all keys of a user from the cache.
    pub(super) fn forget_user(&self, user: UserId) {
        self.keep(|key| key.user != user);
    }

    fn keep(&self, keep: impl Fn(&ApiKey) -> bool) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|_, known| keep(&known.key));
    }
}

impl fmt::Debug for ApiKeyCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKeyCache")
    }
}
