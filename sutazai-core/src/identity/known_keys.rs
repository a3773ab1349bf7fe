//! The API keys that this process has looked up of late.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{ApiKey, ApiKeyId, UserId};

/// How long a key is taken for good without another look at the store: so long a key that was removed, or whose user
/// was disabled, in another process is still let in here.
const LIFE: Duration = Duration::from_secs(30);
/// How long a key that nobody uses is remembered, no more than that it was good.
const MEMORY: Duration = Duration::from_secs(10 * 60);
/// The time between two records of a key's use.
const RECORD_EVERY: TimeDelta = TimeDelta::seconds(60);

/// Keys by their hash; so it never holds more than are in use.
#[derive(Default)]
pub(super) struct KnownKeys {
    known: RwLock<HashMap<String, Known>>,
}

struct Known {
    key: Arc<ApiKey>,
    until: DateTime<Utc>,
}

impl KnownKeys {
    /// The key, if it was looked up of late.
    pub(super) fn get(&self, hash: &str, now: DateTime<Utc>) -> Option<Arc<ApiKey>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(hash).filter(|known| known.until > now).map(|known| known.key.clone())
    }

    /// Whether the key was good when it was looked up last, not long ago.
    pub(super) fn knew(&self, hash: &str) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains_key(hash)
    }

    /// Remembers a key, and forgets those that nobody has used for long.
    pub(super) fn add(&self, key: Arc<ApiKey>, now: DateTime<Utc>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, known| known.until + MEMORY > now);
        known.insert(key.hash.clone(), Known { key, until: now + LIFE });
    }

    /// Whether this use is to be recorded; of several at once one is.
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

    /// Forgets one key.
    pub(super) fn forget(&self, id: ApiKeyId) {
        self.keep(|key| key.id != id);
    }

    /// Forgets all keys of a user.
    pub(super) fn forget_user(&self, user: UserId) {
        self.keep(|key| key.user != user);
    }

    fn keep(&self, keep: impl Fn(&ApiKey) -> bool) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).retain(|_, known| keep(&known.key));
    }
}

impl fmt::Debug for KnownKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownKeys")
    }
}
