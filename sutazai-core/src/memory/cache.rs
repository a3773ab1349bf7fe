//! [`Cache`] over a std map: what one process remembers by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::later;
use crate::error::Result;
use crate::ports::{Cache, Clock};

/// Once so many are kept, those whose time has passed are looked for.
const MANY: usize = 1_024;

/// Values in memory: for tests, and for embedders with several engines in one process.
#[derive(Debug)]
pub struct MemoryCache {
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    value: String,
    until: DateTime<Utc>,
}

impl MemoryCache {
    /// An empty cache that goes by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: &str, value: &str, life: Duration, over: bool) {
        let now = self.clock.now();
        let mut kept = self.lock();
        if kept.len() >= MANY {
            kept.retain(|_, kept| kept.until > now);
        }
        if over || kept.get(key).is_none_or(|kept| kept.until <= now) {
            kept.insert(key.to_owned(), Kept { value: value.to_owned(), until: later(now, life) });
        }
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Result<Option<String>> {
        let now = self.clock.now();
        Ok(self.lock().get(key).filter(|kept| kept.until > now).map(|kept| kept.value.clone()))
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
    async fn what_has_passed_takes_no_room_for_long() {
        let clock = Arc::new(ManualClock::new());
        let cache = MemoryCache::new(clock.clone());
        for n in 0..10 * MANY {
            cache.put(&n.to_string(), "", Duration::from_secs(1)).await.unwrap();
            clock.advance(Duration::from_millis(1));
        }
        assert!(cache.lock().len() < 2 * MANY);
    }
}
