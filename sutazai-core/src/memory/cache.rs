//! [`Cache`] over a hash map, local to one process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::later;
use crate::error::Result;
use crate::ports::{Cache, Clock};

/// Number of entries above which expired ones are removed.
const CLEANUP_THRESHOLD: usize = 1_024;

/// Cache in memory, for tests and for embedders with several engines in one process.
#[derive(Debug)]
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    value: String,
    until: DateTime<Utc>,
}

impl MemoryCache {
    /// Creates an empty cache with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, entries: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: &str, value: &str, life: Duration, over: bool) {
        let now = self.clock.now();
        let mut entries = self.lock();
        if entries.len() >= CLEANUP_THRESHOLD {
            entries.retain(|_, entry| entry.until > now);
        }
        if over || entries.get(key).is_none_or(|entry| entry.until <= now) {
            entries.insert(key.to_owned(), Entry { value: value.to_owned(), until: later(now, life) });
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let now = self.clock.now();
        Ok(self.lock().get(key).filter(|entry| entry.until > now).map(|entry| entry.value.clone()))
    }

    async fn put(&self, key: &str, value: &str, life: Duration) -> Result<()> {
        self.keep(key, value, life, true);
        Ok(())
    }

    async fn add(&self, key: &str, value: &str, life: Duration) -> Result<()> {
        self.keep(key, value, life, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualClock;

    #[tokio::test]
    async fn conforms() {
        let clock = Arc::new(ManualClock::new());
        let cache = Arc::new(MemoryCache::new(clock.clone()));
        crate::testing::cache::run_all(cache, async |pause| clock.advance(pause)).await;
    }

    #[tokio::test]
    async fn expired_entries_are_removed() {
        let clock = Arc::new(ManualClock::new());
        let cache = MemoryCache::new(clock.clone());
        for n in 0..10 * CLEANUP_THRESHOLD {
            cache.put(&n.to_string(), "", Duration::from_secs(1)).await.unwrap();
            clock.advance(Duration::from_millis(1));
        }
        assert!(cache.lock().len() < 2 * CLEANUP_THRESHOLD);
    }
}
